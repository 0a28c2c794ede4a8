"""T5 models on bytes: building, fine-tuning, distilling and decoding; weights are plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Adafactor, ByT5Tokenizer, T5Config, T5ForConditionalGeneration

# `sizes`, as `build` takes them, and `weights`, arrays by name.
Model = dict[str, Any]
_BATCH = 256


def encode(texts: Sequence[str]) -> np.ndarray:
    """Token ids, n x length, of texts as ByT5 reads them: bytes, the end, padding."""
    tokens = ByT5Tokenizer()(list(texts), padding="longest", return_tensors="np")["input_ids"]
    return tokens.astype("int16")


def build(sizes: Mapping[str, Any], dropout: float, device: str) -> T5ForConditionalGeneration:
    """A T5 with random weights.

    Args:
        sizes: `d_model`, a multiple of 8, and `layers` of the encoder and of the decoder each.
        dropout: Share of activations that are dropped in training.
        device: Where it lives.
    """
    tokenizer = ByT5Tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=sizes["d_model"],
        d_kv=8,
        num_heads=sizes["d_model"] // 8,
        d_ff=2 * sizes["d_model"],
        num_layers=sizes["layers"],
        num_decoder_layers=sizes["layers"],
        dropout_rate=dropout,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return T5ForConditionalGeneration(config).to(device)


def train(
    corpus: Mapping[str, np.ndarray],
    sizes: Mapping[str, Any],
    settings: Mapping[str, Any],
    device: str,
    *,
    checkpoint: Model | None = None,
    teacher: Model | None = None,
) -> Model:
    """Train a model with Adafactor, whose steps follow the scale of each weight.

    AdamW needs many times the steps with weights as differently scaled as T5's.

    Args:
        corpus: `train_input` and `train_target`, token ids.
        sizes: Of the model, as `build` takes them.
        settings: `steps`, `batch_size`, `learning_rate` (falls to zero), `dropout`,
            `random_state`; with a teacher also `temperature` and `soft_weight`, the share of the
            teacher's distribution in the loss.
        device: Where it runs.
        checkpoint: To go on from; random weights without.
        teacher: To learn from beside the corpus.
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(settings["random_state"])
        model = build(sizes, settings["dropout"], device)
        if checkpoint is not None:
            _set(model, checkpoint)
        model.train()
        master = None if teacher is None else _set(build(teacher["sizes"], 0.0, device), teacher)
        x = torch.from_numpy(corpus["train_input"]).long().to(device)
        y = torch.from_numpy(corpus["train_target"]).long().to(device)
        optimizer = Adafactor(
            model.parameters(),
            lr=settings["learning_rate"],
            relative_step=False,
            scale_parameter=True,
        )
        for step in range(settings["steps"]):
            optimizer.param_groups[0]["lr"] = settings["learning_rate"] * (
                1 - step / settings["steps"]
            )
            batch = torch.randint(len(x), (settings["batch_size"],))
            loss = _loss(model, x[batch], y[batch], master, settings)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = {name: tensor.cpu().numpy().copy() for name, tensor in model.state_dict().items()}
    return {"sizes": dict(sizes), "weights": weights}


def _loss(
    model: T5ForConditionalGeneration,
    x: Tensor,
    y: Tensor,
    teacher: T5ForConditionalGeneration | None,
    settings: Mapping[str, Any],
) -> Tensor:
    """Cross-entropy with the truth, and with what the teacher makes of it (Hinton et al., 2015)."""
    padding = model.config.pad_token_id
    inputs = {
        "input_ids": x,
        "attention_mask": x != padding,
        "labels": y.masked_fill(y == padding, -100),
    }
    out = model(**inputs)
    if teacher is None:
        return out.loss
    with torch.no_grad():
        wanted = teacher(**inputs).logits
    t, kept = settings["temperature"], y != padding
    soft = functional.kl_div(
        (out.logits[kept] / t).log_softmax(-1),
        (wanted[kept] / t).log_softmax(-1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - settings["soft_weight"]) * out.loss + settings["soft_weight"] * t**2 * soft


@torch.no_grad()
def decode(model: Model, inputs: np.ndarray, length: int, device: str) -> list[str]:
    """The texts that a model writes, greedily, of at most this many tokens."""
    torch.set_num_threads(1)
    t5 = _set(build(model["sizes"], 0.0, device), model)
    texts: list[str] = []
    for x in torch.from_numpy(inputs).long().to(device).split(_BATCH):
        written = t5.generate(
            input_ids=x,
            attention_mask=x != t5.config.pad_token_id,
            max_new_tokens=length,
            do_sample=False,
        )
        texts += ByT5Tokenizer().batch_decode(written, skip_special_tokens=True)
    return texts


def _set(t5: T5ForConditionalGeneration, model: Model) -> T5ForConditionalGeneration:
    t5.load_state_dict({name: torch.from_numpy(a) for name, a in model["weights"].items()})
    return t5.eval()
