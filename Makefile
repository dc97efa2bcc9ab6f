# make demo    set up .venv, run the study on drawn faces, write its report
# make lab     open the notebooks in JupyterLab
# make test    set up .venv, run every test but those in JupyterLab
# make test-browser   run all notebooks in JupyterLab, in a Chromium: six minutes
# make check   the linter, the types and the fast tests, for every save: two minutes and a half
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.9

.PHONY: demo lab test test-browser check bench setup browser lint lock clean

demo: setup browser
	$(PY) -m helpers run --profile demo

# As root, JupyterLab starts only when it is told so. Threads that wait soon sleep, as in `run` (benchmarks/README.md).
lab: setup
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=10000 $(VENV)/bin/jupyter lab --ServerApp.root_dir="$(CURDIR)" notebooks/01_data.ipynb \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

# One process per core, with one thread each. Tests of one group share something slow to make, and stay in one process.
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist loadgroup

test: setup
	$(PYTEST)

test-browser: setup browser
	$(PY) -m pytest -m browser

check: lint
	$(PYTEST) -m "not slow and not browser"

# Takes about a quarter of an hour. With `.venv/bin/pip install -e '.[bench]'`, against Lightning and fastai too.
bench: setup
	$(PY) benchmarks/speed.py --json benchmarks/speed.json --figure figures/readme/speed.png

setup: $(VENV)/.installed

# The lock is installed by uv, in a minute; where uv cannot reach the packages, by pip. JupyterLab is told to save
# figures in the places of widgets, which end with the kernel.
$(VENV)/.installed: requirements.txt pyproject.toml notebooks/jupyter_server_config.json
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "error: Python 3.11 or later is needed; this is $$($(PYTHON) --version). Try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || \
	  { echo "error: Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet uv==$(UV_VERSION) || true
	$(VENV)/bin/uv pip install --quiet --python $(PY) -r requirements.txt || $(PY) -m pip install -r requirements.txt
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	cp notebooks/jupyter_server_config.json $(VENV)/etc/jupyter/
	touch $@

# The PDF is printed by a Chromium, Chrome or Edge. Root on Debian gets one; others get WeasyPrint's PDF.
browser: setup
	@$(PY) -c "import sys; from helpers.report.pdf import find_browser; sys.exit(find_browser() is None)" || \
	  if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
	    echo "No Chromium, Chrome or Edge here: installing Debian's chromium, for the report's PDF."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	      echo "That failed; WeasyPrint will be tried instead."; \
	  fi

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(VENV)/bin/pyright --pythonpath $(PY)

# Renew requirements.txt from pyproject.toml.
lock: setup
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev --extra fetch --extra scale \
	  --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) runs data/drawn
