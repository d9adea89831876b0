"""DNN: a stack of fully connected layers, the multilayer perceptron.

    x_0 = columns of the row, numbers and categories embedded
    x_l = dropout(act(norm(W_l x_{l-1} + b_l)))          residual: x_l = x_{l-1} + ...
    features = x_L

With `members` M > 1 the layers are BatchEnsemble layers: M networks share every matrix and differ by cheap scalings,
are trained at once, and their answers are averaged (TabM).

References: Rumelhart, Hinton & Williams, Nature 323, 1986; number embeddings: Gorishniy et al., 2203.05556; members:
Gorishniy et al., TabM, 2410.24210; residual form: Gorishniy et al., 2106.11959; first weights: LeCun et al., Efficient
BackProp, 1998 (uniform), He et al., 1502.01852 (he).

Differs from the papers:
1. Category embeddings are trained with 1 % of the entries hidden, so that unseen categories have a meaning.
2. TabM's adapters and biases are undecayed; its matrices and heads are decayed.

Reads tables, texts as bags of words, and pictures as one long row of standardised pixels. Good at: tables of mixed
columns from a few hundred rows on, many columns at once, several targets, topics of texts. Weak at: a few dozen rows
(use logistic regression), pictures, whose neighbourhoods it does not know (use CNN, ResNet), the order of words and
other sequences (use CNN, LSTM, Transformer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Features, ImageSpec, TableSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.dropout import Dropout
from decet.nn.members import Ensemble, MemberLinear
from decet.nn.stems import FlatStem, TableStem, drawn
from decet.settings import check_whole, joined

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "selu": nn.SELU,
}
EMBEDDINGS = ("none", "piecewise", "periodic")
NORMS = ("none", "batch", "layer")
INITS = ("uniform", "he", "plain")
SHARINGS = ("tabm", "none")


@dataclass(frozen=True)
class DNN:
    """The multilayer perceptron. None = not said: the cell of the map, then the fallback decides.

    hidden: widths of the hidden layers one by one, as (64, 32); wins over width and depth.
    width: units of a hidden layer.
    depth: hidden layers.
    embedding: of numbers: "none", "piecewise" (place among quantiles) or "periodic" (trained waves).
    embedding_width: units a number is embedded to.
    frequencies: waves of a periodic embedding.
    sigma: spread of the first frequencies.
    activation: "relu", "gelu", "silu", "mish", "tanh", "sigmoid" or "selu".
    norm: "none", "batch" or "layer", before the activation.
    dropout: share of units dropped after each hidden layer.
    residual: add each layer's input to its output (all hidden layers as wide as the first).
    init: "uniform" (variance 1 / (3 inputs), sound for a few layers), "he" (2 / inputs, for deep stacks of rectifiers),
        or "plain" (small normal numbers, for comparison: deep stacks hardly learn from it).
    sharing: what members share: "tabm" (all matrices) or "none" (nothing: a plain ensemble).
    """

    hidden: tuple[int, ...] | None = None
    width: int | None = None
    depth: int | None = None
    embedding: str | None = None
    embedding_width: int | None = None
    frequencies: int | None = None
    sigma: float | None = None
    activation: str | None = None
    norm: str | None = None
    dropout: float | None = None
    residual: bool | None = None
    init: str | None = None
    sharing: str | None = None

    reads: ClassVar[tuple[type, ...]] = (TableSpec, ImageSpec)

    def __post_init__(self) -> None:
        if self.hidden is not None:
            if isinstance(self.hidden, (int, str)) or not len(self.hidden):
                raise BadInput(
                    f"hidden must list the widths of the hidden layers, as (64, 32). Received: {self.hidden!r}."
                )
            check_range("the number of widths in hidden", len(self.hidden), 1, 1000)
            for width in self.hidden:
                check_range("each width in hidden", width, 1, 65536, whole=True)
            object.__setattr__(self, "hidden", tuple(int(w) for w in self.hidden))
        check_whole(self, ("width",), 1, 65536)
        check_whole(self, ("depth",), 0, 1000)
        check_whole(self, ("embedding_width", "frequencies"), 1, 4096)
        check_range("sigma", self.sigma, 1e-6, 1e3)
        check_range("dropout", self.dropout, 0.0, 0.95)
        check_choice("embedding", self.embedding, EMBEDDINGS)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_choice("norm", self.norm, NORMS)
        check_choice("residual", self.residual, (True, False))
        check_choice("init", self.init, INITS)
        check_choice("sharing", self.sharing, SHARINGS)

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The network for this spec; `pooled()` gives (B, members, width of the last layer)."""
        match spec:
            case TableSpec() | ImageSpec():
                settings = joined(self, FALLBACK)
                if members > 1 and settings.sharing == "none":
                    return Ensemble(lambda: _Perceptron(settings, spec, 1), members)
                return _Perceptron(settings, spec, members)
            case _:
                raise Unsupported(f"DNN reads tables and pictures. Received: {type(spec).__name__}.")


FALLBACK = DNN(
    width=256,
    depth=3,
    embedding="none",
    embedding_width=16,
    frequencies=24,
    sigma=0.1,
    activation="relu",
    norm="none",
    dropout=0.0,
    residual=False,
    init="uniform",
    sharing="tabm",
)


class _Perceptron(Body):
    """Stem, then hidden layers. inputs (numbers (B, F), categories (B, C)), or (pixels,) -> summary (B, M, D)."""

    def __init__(self, settings: DNN, spec: TableSpec | ImageSpec, members: int):
        super().__init__()
        widths = settings.hidden or (settings.width or 1,) * (settings.depth or 0)
        self.members = members
        self.stem: FlatStem | TableStem
        self.sparse = None
        if isinstance(spec, ImageSpec):
            self.stem = FlatStem(spec)
        else:
            self.stem = TableStem(
                spec,
                settings.embedding or "none",
                settings.embedding_width or 1,
                settings.frequencies or 1,
                settings.sigma or 1.0,
            )
        inputs = self.stem.width
        if isinstance(spec, TableSpec) and spec.sparse:
            inputs = widths[0] if widths else 64
            self.sparse = nn.Parameter(drawn(spec.numbers, inputs, 1 / math.sqrt(max(spec.numbers, 1))))
            inputs += self.stem.width
        layers: list[nn.Module] = []
        for i, width in enumerate(widths):
            layers.append(_Layer(inputs, width, members, i == 0, settings))
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.width = self.summary_width = inputs
        _start(self, settings.init or "uniform")

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        if self.sparse is None:
            x = self.stem(inputs)  # (B, D)
        else:  # the first product stays sparse: never a dense row of mostly zeros
            x = inputs[0].times(self.sparse)
            if self.stem.width:
                x = torch.cat([x, self.stem(inputs)], 1)
        if condition is not None:
            x = x + condition
        if self.members > 1:
            x = x.unsqueeze(1).expand(-1, self.members, -1)  # (B, M, D)
        return Features(summary=self.layers(x), members=self.members)


class _Layer(nn.Module):
    """Linear, norm, activation, dropout; its input added where residual and widths agree."""

    def __init__(self, inputs: int, outputs: int, members: int, first: bool, settings: DNN):
        super().__init__()
        if members > 1:
            self.linear: nn.Module = MemberLinear(inputs, outputs, members, varied=first)
        else:
            self.linear = nn.Linear(inputs, outputs)
        self.norm = _norm(settings.norm, outputs)
        self.activation = ACTIVATIONS[settings.activation or "relu"]()
        self.dropout = Dropout(settings.dropout) if settings.dropout else None
        self.residual = bool(settings.residual) and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        if self.norm is not None:
            y = self.norm(y)
        y = self.activation(y)
        if self.dropout is not None:
            y = self.dropout(y)
        return x + y if self.residual else y


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over rows and members, (B, D) or (B, M, D)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[-1]:  # one row has no variance: the running statistics serve
            flat = x.flatten(0, -2)
            return F.batch_norm(
                flat, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            ).view_as(x)
        return super().forward(x.flatten(0, -2)).view_as(x)


def _norm(name: str | None, width: int) -> nn.Module | None:
    match name:
        case "batch":
            return _BatchNorm(width)
        case "layer":
            return nn.LayerNorm(width)
        case _:
            return None


def _start(network: nn.Module, init: str) -> None:
    """First weights. Hidden layers with the "uniform" start are as torch makes them."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, MemberLinear)):
            if init == "he":
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            elif init == "plain":
                nn.init.normal_(module.weight, std=0.01)
            if init != "uniform":
                nn.init.zeros_(module.bias)
