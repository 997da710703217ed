# The commands a newcomer needs; each does the set-up it needs.

DEMO_SYSTEMS = teacher distilhubert cdm2_dat

.PHONY: help setup demo test lint clean

help:
	@echo "make demo    set up, then the small recipe: a WER table in egs/mini/asr1/exp/report"
	@echo "make test    set up, then all tests"
	@echo "make setup   .venv with the pinned packages (done again only when the pins change)"
	@echo "make lint    set up, then ruff, mypy and shellcheck"
	@echo "make clean   remove .venv and caches; data and experiments of recipes stay"

setup:
	@tools/setup.sh

demo: setup
	cd egs/mini/asr1 && ./run.sh --budget short --systems "$(DEMO_SYSTEMS)"

test: setup
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile -m "recipe or not recipe"

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	find . \( -path ./.venv -o -path ./.git -o -name exp -o -name data -o -name dump \) -prune \
		-o \( -name '*.sh' -o -path ./.ci/run \) -type f -print0 | xargs -0 .venv/bin/shellcheck

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
