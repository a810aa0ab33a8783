# One-word commands for work on the code; CONTRIBUTING.md tells when to use which.
bin := .venv/bin

.PHONY: setup test slow check fix docs release demo serve

setup:  ## install for development into .venv
	python3 -m venv .venv && $(bin)/pip install -c constraints.txt -e '.[dev]'

test:  ## the quick tests, in minutes
	$(bin)/pytest

slow:  ## the slow tests: training, kills, fuzzing, browsing
	$(bin)/pytest -m slow

check:  ## style, types, import rules
	$(bin)/ruff check . && $(bin)/ruff format --check . && $(bin)/mypy && $(bin)/lint-imports --no-logo

fix:  ## mend style where that can be done by itself
	$(bin)/ruff check --fix . && $(bin)/ruff format .

docs:  ## the documentation site, into build/site
	$(bin)/python docs/make_site.py && $(bin)/zensical build --strict

release:  ## wheel and sdist, checked; the list of what a user installs (SBOM); all in dist/
	$(bin)/pip install -q -c constraints.txt -e '.[release]'
	rm -rf dist build/user && $(bin)/python -m build && $(bin)/twine check --strict dist/*
	$(bin)/hadolint Dockerfile
	python3 -m venv build/user && build/user/bin/pip install -q -c constraints.txt dist/*.whl
	cd build && user/bin/pip check && user/bin/emotion-search demo
	$(bin)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		-o dist/sbom.cdx.json build/user/bin/python

demo:  ## a search over synthetic voices
	$(bin)/emotion-search demo

serve:  ## the API and the dashboard on http://127.0.0.1:8000
	$(bin)/emotion-search serve --port 8000
