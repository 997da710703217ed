# The commands a newcomer needs; each does the set-up it needs.

DEMO_SYSTEMS = teacher distilhubert cdm2_dat
ESPNET = 202611
REHEARSAL = build/rehearsal
ESPNET_TESTS = test/test_asr.py test/test_tasks.py test/plugin test/distill test/recognise
ifeq ($(filter $(ESPNET),202611 202511),)
$(error ESPNET must be 202611 or 202511, not '$(ESPNET)')
endif

.PHONY: help setup demo test lint rehearse clean

help:
	@echo "make demo    set up, then the small recipe: a WER table in egs/mini/asr1/exp/report"
	@echo "make test    set up, then all tests"
	@echo "make test ESPNET=202511    the tests that touch ESPnet, against the older release"
	@echo "make setup   .venv with the pinned packages (done again only when the pins change)"
	@echo "make rehearse    set up, then every stage of the recipes for GPUs with full-size models on the"
	@echo "                 CPU, two steps a training, in $(REHEARSAL)"
	@echo "make lint    set up, then ruff, mypy and shellcheck"
	@echo "make clean   remove the environments and caches; data and experiments of recipes stay"

setup:
	@tools/setup.sh
ifeq ($(ESPNET),202511)
	@tools/setup_202511.sh
endif

demo: setup
	cd egs/mini/asr1 && ./run.sh --budget demo --nbpe 60 --nj 3 --systems "$(DEMO_SYSTEMS)"
	@echo "next: open egs/mini/asr1/exp/report/index.html in a browser (or look at wer.png there)"
	@echo "      every system, an hour:  cd egs/mini/asr1 && ./run.sh --systems all --budget full"
	@echo "      your own voice:         cd egs/mini/asr1 && ../../../.venv/bin/espnet-robust demo"
	@echo "      your own data:          README.md, Distil a student"

test: setup
	@tools/setup_tests.sh
ifeq ($(ESPNET),202511)
	OMP_NUM_THREADS=1 .venv-202511/bin/python -m pytest -n 2 --dist loadfile $(ESPNET_TESTS)
else
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
		-m "recipe or not recipe"
endif

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	find . \( -path './.venv*' -o -path ./.git -o -name exp -o -name data -o -name dump \) -prune \
		-o \( -name '*.sh' -o -path ./.ci/run \) -type f -print0 | xargs -0 .venv/bin/shellcheck

rehearse: setup
	tools/rehearse.sh --out "$(REHEARSAL)"

clean:
	rm -rf .venv .venv-202511 build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
