PORT ?= 8000
SIZE ?= s
PYTHON := .venv/bin/python
MANAGE := $(PYTHON) manage.py
CHROMIUM := /usr/bin/chromium
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --use-pep517

.PHONY: run test bench browser-test screenshots check messages format stop reset cron cron-off

run: .venv/.running  ## the back office: database, hourly jobs, admin on http://127.0.0.1:$(PORT)/admin/
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) first_start
	@for job in expire_subscriptions advance_referrals apply_gifts aggregate_stats roll_up_days check_data verify_journal maintain_partitions; do $(MANAGE) $$job || true; done
	@$(MANAGE) runserver --noreload --skip-checks $(PORT)

test: .venv/.developing
	@DEBUG=1 $(PYTHON) -m pytest -n 2 --dist worksteal

bench: .venv/.running  ## beside hand-written SQL and stock Django, on data of its own: SIZE=s|m|l, ONLY=gifts,lists; docs/benchmarks.md
	@DEBUG=1 $(PYTHON) -m bench --size $(SIZE) $(if $(ONLY),--only $(ONLY))

browser-test: .venv/.browsing $(CHROMIUM)  ## as staff work with it, in a browser and in both languages
	@DEBUG=1 $(PYTHON) -m pytest browser -n 2 --dist worksteal

screenshots: .venv/.browsing $(CHROMIUM)  ## those in docs/
	@DEBUG=1 $(PYTHON) -m pytest browser/screenshots.py

check: .venv/.developing
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy .
	@DEBUG=1 $(MANAGE) makemigrations --check
	@DEBUG=1 $(MANAGE) messages --check
	@env DATABASE_URL=postgres://check@127.0.0.1/check DEBUG=0 ALLOWED_HOSTS=office.example.com \
		SECRET_KEY=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(MANAGE) check --deploy --fail-level WARNING

messages: .venv/.developing  ## the Russian catalogue: what is new in the code comes in, what is gone goes
	@DEBUG=1 $(MANAGE) messages

format: .venv/.developing
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

stop: .venv/.running  ## ends the embedded PostgreSQL
	@$(MANAGE) embedded stop

reset: .venv/.running  ## throws the embedded database away, after asking
	@$(MANAGE) embedded reset

cron: .venv/.running
	@$(MANAGE) crontab add

cron-off: .venv/.running
	@$(MANAGE) crontab remove

.venv/.running: requirements.txt
	@echo "Installing into .venv"
	@$$(command -v python3.11 || command -v python3) -m venv .venv
	@$(INSTALL) -r requirements.txt
	@touch $@

.venv/.developing: requirements-dev.txt .venv/.running
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

.venv/.browsing: requirements-browser.txt .venv/.developing
	@$(INSTALL) -r requirements-browser.txt
	@touch $@

$(CHROMIUM):
	@[ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "Install Chromium first: apt-get install chromium" >&2; exit 1; }
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium > /dev/null
