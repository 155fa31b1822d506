"""How alike the layers of a student and a teacher are: DNA 1.0's diagnostic where the loss rests above the teacher's.

Layers that have drifted far apart say where the student lacks room; layers that are alike while the loss rests say
that it is the data or the loss. Linear CKA (Kornblith et al., 1905.00414) compares how the same tokens lie to one
another, so widths may differ, and neither turning nor scaling a layer changes it. Cosine compares the coordinates
themselves, which means something where the student was made from the teacher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from manifests.errors import RequestError


@dataclass(frozen=True)
class LayerSimilarity:
    """A layer of the student beside the teacher's at the same relative depth; 0 is the embeddings."""

    student_layer: int
    teacher_layer: int
    cka: float
    """Linear CKA: 0 (nothing in common) to 1 (the same up to turning and scaling); NaN where a layer is constant."""
    cosine: float | None
    """Mean cosine over tokens; None where the widths differ."""


def layer_similarities(student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]) -> list[LayerSimilarity]:
    """Of each layer of the student.

    Args:
        student: hidden states of the embeddings and of each layer, (..., width) each, as models give them with
            `output_hidden_states`.
        teacher: as many dimensions, of the same tokens; numbers of layers and widths may differ.

    Raises:
        RequestError: there are no layers, or tokens differ, or there are fewer than two.
    """
    if len(student) < 2 or len(teacher) < 2:
        raise RequestError(f"similarity: {len(student)} and {len(teacher)} layers; both need embeddings and a layer")
    found = []
    for layer, states in enumerate(student):
        match = matching_layer(layer, len(student) - 1, len(teacher) - 1)
        if states.shape[:-1] != teacher[match].shape[:-1]:
            raise RequestError(
                f"similarity: tokens are {tuple(states.shape[:-1])} in layer {layer} of the student, "
                f"{tuple(teacher[match].shape[:-1])} in layer {match} of the teacher"
            )
        ours, theirs = (one.detach().flatten(0, -2) for one in (states, teacher[match]))
        same_width = ours.shape[1] == theirs.shape[1]
        found.append(
            LayerSimilarity(layer, match, linear_cka(ours, theirs), cosine(ours, theirs) if same_width else None)
        )
    return found


def matching_layer(layer: int, n_student: int, n_teacher: int) -> int:
    """The teacher's layer at the relative depth of a student's, the deeper one where it lies in the middle."""
    return (2 * layer * n_teacher + n_student) // (2 * n_student)


def linear_cka(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """||Y^T X||^2 / (||X^T X|| ||Y^T Y||) of centred X and Y, in Frobenius norms.

    Args:
        ours: (tokens, width).
        theirs: (tokens, other width), of the same tokens.

    Raises:
        RequestError: there are fewer than two tokens.
    """
    if len(ours) < 2:
        raise RequestError(f"similarity: {len(ours)} tokens; it takes two at least")
    x, y = _centred(ours), _centred(theirs)
    if len(x) < min(x.shape[1], y.shape[1]):  # the same through products of tokens, which are fewer
        of_x, of_y = x @ x.T, y @ y.T
        shared = (of_x * of_y).sum()
    else:
        of_x, of_y = x.T @ x, y.T @ y
        shared = (y.T @ x).square().sum()
    return float(shared / (of_x.norm() * of_y.norm()))


def cosine(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Mean over tokens of the cosine between (tokens, width) and (tokens, width)."""
    return float(
        torch.nn.functional.cosine_similarity(ours.detach().double(), theirs.detach().double(), dim=1).mean()
    )


def _centred(states: torch.Tensor) -> torch.Tensor:
    """Around 0, and of norm 1, so that squares of large states stay finite."""
    exact = states.detach().double()
    centred = exact - exact.mean(0)
    return centred / centred.norm()
