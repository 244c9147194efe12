"""One thread: the tests compare bits, and share their machine."""

import torch

torch.set_num_threads(1)
