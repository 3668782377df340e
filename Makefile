PORT ?= 8000
PYTHON := .venv/bin/python
MANAGE := $(PYTHON) manage.py
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --use-pep517

.PHONY: run test check format stop reset cron cron-off

run: .venv/.running  ## the back office: database, hourly jobs, admin on http://127.0.0.1:$(PORT)/admin/
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) first_start
	@for job in expire_subscriptions advance_referrals apply_gifts aggregate_stats check_data; do $(MANAGE) $$job || true; done
	@$(MANAGE) runserver --noreload --skip-checks $(PORT)

test: .venv/.developing
	@DEBUG=1 $(PYTHON) -m pytest -n 2 --dist worksteal

check: .venv/.developing
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy .
	@DEBUG=1 $(MANAGE) makemigrations --check
	@env DATABASE_URL=postgres://check@127.0.0.1/check DEBUG=0 ALLOWED_HOSTS=office.example.com \
		SECRET_KEY=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(MANAGE) check --deploy --fail-level WARNING

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
