"""A small U-Net, its training and its predictions; weights travel as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 3
_BATCH = 16


class UNet(nn.Module):
    """A U-Net (Ronneberger et al., arXiv 1505.04597), one convolution a level on either side.

    Args:
        channels: Channels of the first level; each level below has twice as many.
        depth: How often the image is halved; its sides must be divisible by 2^depth.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(depth + 1)]
        pairs = list(pairwise(widths))
        self.first = _block(1, channels)
        self.down = nn.ModuleList(_block(a, b) for a, b in pairs)
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairs)
        self.last = nn.Conv2d(channels, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, n x classes x height x width, of images, n x 1 x height x width."""
        levels = [self.first(images)]
        for down in self.down:
            levels.append(down(functional.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up in reversed(self.up):
            x = up(torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2)], dim=1))
        return self.last(x)


def _block(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def train(images: np.ndarray, labels: np.ndarray, settings: Mapping[str, Any]) -> dict:
    """Train on slices; see `nodes.train_unet` for the settings. Returns the weights by name."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(settings["random_state"])
        model = UNet(settings["channels"], settings["depth"]).to(settings["device"]).train()
        x = torch.from_numpy(images)[:, None].float().to(settings["device"])
        y = torch.from_numpy(labels).long().to(settings["device"])
        optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["steps"])
        for _ in range(settings["steps"]):
            batch = torch.randint(len(x), (settings["batch_size"],))
            loss = _loss(model(x[batch]), y[batch], settings["dice_weight"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return {name: tensor.cpu().numpy().copy() for name, tensor in model.state_dict().items()}


def _loss(logits: Tensor, labels: Tensor, dice_weight: float) -> Tensor:
    """Cross-entropy and one minus the soft Dice of the tissues, weighted."""
    p = logits.softmax(1)[:, 1:]
    true = functional.one_hot(labels, CLASSES).movedim(-1, 1)[:, 1:]
    over = (0, 2, 3)
    dice = 2 * (p * true).sum(over) / (p.sum(over) + true.sum(over) + 1)
    entropy = functional.cross_entropy(logits, labels)
    return (1 - dice_weight) * entropy + dice_weight * (1 - dice.mean())


@torch.no_grad()
def predict(
    weights: Mapping[str, np.ndarray],
    images: np.ndarray,
    settings: Mapping[str, Any],
    views: int,
) -> np.ndarray:
    """Probabilities, n x classes x height x width, averaged over mirrored views of each slice."""
    torch.set_num_threads(1)
    model = UNet(settings["channels"], settings["depth"])
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    model.to(settings["device"]).eval()
    mirrors: list[list[int]] = [[], [3], [2], [2, 3]][:views]
    found = []
    for batch in torch.from_numpy(images)[:, None].float().to(settings["device"]).split(_BATCH):
        seen = [model(batch.flip(m)).softmax(1).flip(m) for m in mirrors]
        found.append(torch.stack(seen).mean(0).cpu())
    return torch.cat(found).half().numpy()
