"""`training.worker` with weights that are shared out (FSDP2) between processes without GPUs.

accelerate shards only on devices that it takes for GPUs; torch does so on CPUs, too. So accelerate is told that these
are some: all else is as in a training on GPUs.
"""

import os
import sys
from typing import Any

os.environ.update(
    ACCELERATE_USE_FSDP="true",
    FSDP_VERSION="2",
    FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP",
    FSDP_STATE_DICT_TYPE="FULL_STATE_DICT",
)

from accelerate import state
from accelerate.utils import DistributedType

from training.worker import main

_begin = state.AcceleratorState.__init__


def _sharding(self: Any, *args: Any, **settings: Any) -> None:
    if not state.AcceleratorState._shared_state:
        state.PartialState(cpu=True)
        state.PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    _begin(self, *args, **settings)


state.AcceleratorState.__init__ = _sharding

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
