"""Small output layers of a student and a teacher of different widths, in float64."""

from dataclasses import dataclass

import torch

ROWS, IDS, WIDTH, TEACHER_WIDTH = 6, 11, 4, 3


@dataclass(frozen=True)
class Heads:
    student: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """Hidden states, matrix and bias, with gradients."""
    teacher: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    labels: torch.Tensor
    """One of them counts for nothing."""

    @property
    def logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(torch.addmm(bias, hidden, weight.T) for hidden, weight, bias in (self.student, self.teacher))


def heads(seed: int = 0) -> Heads:
    generator = torch.Generator().manual_seed(seed)

    def layer(width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shapes = ((ROWS, width), (IDS, width), (IDS,))
        made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        return made[0], made[1], made[2]

    student, teacher = layer(WIDTH), layer(TEACHER_WIDTH)
    for one in student:
        one.requires_grad_()
    labels = torch.randint(0, IDS, (ROWS,), generator=generator)
    labels[2] = -100
    return Heads(student, teacher, labels)
