# Two commands do all the set-up: `make demo` and `make test`. Both install into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Where an environment forbids it, each of the many programs that the tests start would compile torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-multisports test check docs clean
.DELETE_ON_ERROR:

# --no-compile: Python compiles what it imports; compiling all of torch up front only costs time.
.venv/installed: setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	touch $@

.venv/installed-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable ".[test]"
	touch $@

# Makes a small data set, trains on it, evaluates, and draws what the network finds in a video of it.
demo: .venv/installed
	$(BIN)/python -m data_tools.toy --out toy_data --parts detection
	$(BIN)/python tools/train_det.py configs/toy/slowfast_r18.yaml --out runs/demo --overwrite
	$(BIN)/python tools/test_det.py configs/toy/slowfast_r18.yaml --weights runs/demo/best.pt --out runs/demo/test
	$(BIN)/python tools/demo.py toy_data/videos/toy_val_000.mp4 --weights runs/demo/best.pt \
		--persons stored --boxes toy_data/ava/dense_proposals_val.pkl --out runs/demo/demo.mp4
	$(BIN)/python tools/eval_ava.py --truth toy_data/ava/ava_val.csv --detections runs/demo/test/detections.csv \
		--labels toy_data/ava/action_list_eval.pbtxt --plot runs/demo/per_class.png

# Such people in MultiSports' form: trains, tests every frame, links tubes, and scores boxes and tubes.
TUBES := toy_data/multisports/multisports_GT.pkl
RUN := runs/demo_multisports
demo-multisports: .venv/installed
	$(BIN)/python -m data_tools.toy --out toy_data --parts tubes
	$(BIN)/python tools/train_det.py configs/toy/multisports_slowfast_r18.yaml --out $(RUN) --overwrite
	$(BIN)/python tools/test_det.py configs/toy/multisports_slowfast_r18.yaml --weights $(RUN)/best.pt \
		--moments all --smooth 31 --out $(RUN)/test
	$(BIN)/python tools/link_tubes.py --detections $(RUN)/test/frame_detections.pkl --truth $(TUBES) --out $(RUN)/tubes.pkl
	for moments in annotated all; do $(BIN)/python tools/eval_multisports.py frame --moments $$moments \
		--truth $(TUBES) --detections $(RUN)/test/frame_detections.pkl || exit; done
	$(BIN)/python tools/eval_multisports.py video --truth $(TUBES) --detections $(RUN)/tubes.pkl

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

check: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MAKE) docs

# The API reference, from the docstrings: build/docs/index.html.
docs: .venv/installed-tests
	$(BIN)/python .ci/docs.py build/docs

clean:
	rm -rf .venv runs toy_data build *.egg-info
