"""Makes `format0/`, a model folder as format 0 wrote it: `python tests/artifacts/make_format0.py`.

The folder is kept as it is; the script says how it came to be. It uses nothing of decet, since decet writes its
present format only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch

HERE = Path(__file__).parent / "format0"

weights = {"body.weight": torch.arange(12.0).reshape(3, 4) / 8, "head.bias": torch.tensor([0.5, -0.25])}
golden = {"inputs.0": torch.tensor([[1.0, 2.0, 3.0, 4.0]]), "output": torch.tensor([[0.25, 0.75]])}
history = [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 0.75}]
files = {
    "weights.safetensors": safetensors.torch.save(weights, metadata={"format": "pt"}),
    "golden.safetensors": safetensors.torch.save(golden, metadata={"format": "pt"}),
    "README.md": "# A model of format 0\n\nlabels: 蘋果, apple\n".encode(),
    "history.jsonl": "".join(json.dumps(row) + "\n" for row in history).encode(),
}
model = {
    "format": 0,
    "estimator": "TableClassifier",
    "classes": ["蘋果", "apple"],
    "sizes": {name: len(data) for name, data in files.items()},
    "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    "weights": {name: list(tensor.shape) for name, tensor in weights.items()},
}
files["model.json"] = json.dumps(model, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"

HERE.mkdir(exist_ok=True)
for name, data in files.items():
    (HERE / name).write_bytes(data)
