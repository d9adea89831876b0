# The README's two commands. Each makes the environment where it is missing or older than its settings.
PYTHON ?= python3

# Two torch processes at once spin against each other unless each has its own thread (docs/architecture.md).
WORKER_THREADS = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.PHONY: demo test
demo: .venv/.installed
	.venv/bin/decet tour --out runs/tour

test: .venv/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy src
	$(WORKER_THREADS) .venv/bin/python -m pytest -n 2 --dist=loadfile

# PIP_CONSTRAINT pins what builds the package too, in the environment that pip makes for it.
.venv/.installed: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt .venv/bin/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@
