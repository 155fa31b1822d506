"""Batches of a token mixture in the exact order of training, for each rank, resumed at any step.

Batch b of all ranks together holds the sequences b * B to (b + 1) * B, B = batch_size * world_size, whatever number
of ranks shares it; a state is the number of the next sequence. So a training may go on with more or fewer ranks, or
another batch size, and sees every sequence once.
"""

from collections.abc import Iterator
from typing import Any

from manifests.errors import RequestError
from training.token_dataset import Item, TokenDataset, collate


class TokenBatches:
    """The batches of one rank, from the next one that was not handed out."""

    def __init__(
        self,
        dataset: TokenDataset,
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        n_workers: int = 0,
        drop_last: bool = False,
        **loader: Any,
    ) -> None:
        """Batches of a dataset.

        Args:
            dataset: the sequences.
            batch_size: sequences per batch of this rank.
            rank: which of the ranks this is.
            world_size: how many there are.
            n_workers: processes that read ahead (torch's DataLoader); 0 reads here, without torch if need be.
            drop_last: whether sequences at the end that do not fill a batch of all ranks are left out; with one rank
                they make a smaller one else.
            loader: more options of torch's DataLoader, as `pin_memory` and `prefetch_factor`.

        Raises:
            RequestError: there is no such rank, or the last batch would not reach all of them.
        """
        if batch_size < 1 or not 0 <= rank < world_size:
            raise RequestError(
                f"batch_size={batch_size}, rank={rank}, world_size={world_size}: expected 0 <= rank < world_size"
            )
        self.dataset, self.batch_size, self.rank, self.world_size = dataset, batch_size, rank, world_size
        self.n_workers, self.drop_last, self._loader = n_workers, drop_last, loader
        self.next_sequence = 0
        """The first sequence of the dataset that was not handed out to any rank."""
        self._check_end()

    @property
    def global_batch_size(self) -> int:
        """Sequences per batch of all ranks."""
        return self.batch_size * self.world_size

    @property
    def n_left_out(self) -> int:
        """Sequences at the end that no batch holds."""
        left = (len(self.dataset) - self.next_sequence) % self.global_batch_size
        return left if self.drop_last else 0

    def _check_end(self) -> None:
        left = (len(self.dataset) - self.next_sequence) % self.global_batch_size
        if left and self.world_size > 1 and not self.drop_last:
            raise RequestError(
                f"{len(self.dataset) - self.next_sequence:,} sequences are no whole number of batches of "
                f"{self.global_batch_size:,}, so ranks would get unequal numbers: drop_last=True leaves out the last "
                f"{left:,}"
            )

    def __len__(self) -> int:
        """Batches that are still to come."""
        left = len(self.dataset) - self.next_sequence - self.n_left_out
        return -(-left // self.global_batch_size)

    def __iter__(self) -> Iterator[Item]:
        """The batches to come; the state counts a batch as done as soon as it is handed out."""
        for batch in self._read(self._indices()):
            self.next_sequence = min(self.next_sequence + self.global_batch_size, len(self.dataset))
            yield batch

    def _indices(self) -> Iterator[range]:
        """Numbers of the sequences of each batch to come."""
        starts = range(self.next_sequence, len(self.dataset) - self.n_left_out, self.global_batch_size)
        firsts = (start + self.rank * self.batch_size for start in starts)
        return (range(first, min(first + self.batch_size, len(self.dataset))) for first in firsts)

    def _read(self, indices: Iterator[range]) -> Iterator[Item]:
        if not self.n_workers and not self._loader:
            for of in indices:
                yield collate(self.dataset.__getitems__(of))
            return
        from torch.utils.data import DataLoader

        yield from DataLoader(
            self.dataset,
            batch_sampler=indices,
            num_workers=self.n_workers,
            collate_fn=collate,
            **self._loader,
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand, after the last one that was handed out; the same for all ranks."""
        return {
            "next_sequence": self.dataset.first + self.next_sequence,
            "fingerprint": self.dataset.record.fingerprint,
            "tokenizer_digest": self.dataset.record.tokenizer.digest,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, with the same or another number of ranks and batch size.

        Raises:
            RequestError: the state is of another mixture, or of a stage that this dataset does not hold.
        """
        record = self.dataset.record
        for name, found in (("fingerprint", record.fingerprint), ("tokenizer_digest", record.tokenizer.digest)):
            if state[name] != found:
                raise RequestError(
                    f"the state is of a mixture whose {name} is {state[name]}, this one's is {found}: "
                    "the order of the data would change"
                )
        place = int(state["next_sequence"]) - self.dataset.first
        if not 0 <= place <= len(self.dataset):
            raise RequestError(
                f"the state stands at sequence {state['next_sequence']:,}; this dataset holds "
                f"{self.dataset.first:,} to {self.dataset.first + len(self.dataset):,}"
            )
        self.next_sequence = place
        self._check_end()
