PORT ?= 8000
SIZE ?= s
PYTHON := .venv/bin/python
MANAGE := $(PYTHON) manage.py
CHROMIUM := /usr/bin/chromium
DEBOOTSTRAP := /usr/sbin/debootstrap
CLUSTER := /usr/bin/patroni /usr/bin/etcd /usr/sbin/haproxy /usr/sbin/pgbouncer /usr/lib/postgresql/15/bin/postgres
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --use-pep517

.PHONY: run test chaos fuzz deploy-test bench cluster-test backup-test browser-test screenshots check messages format stop reset cron cron-off load soak

run: .venv/.running  ## the back office: database, hourly jobs, admin on http://127.0.0.1:$(PORT)/admin/
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) first_start
	@for job in expire_subscriptions advance_referrals apply_gifts aggregate_stats roll_up_days check_data verify_journal maintain_partitions clear_expired watch_jobs; do $(MANAGE) $$job || true; done
	@$(MANAGE) runserver --noreload --skip-checks $(PORT)

test: .venv/.developing
	@DEBUG=1 $(PYTHON) -m pytest -n 2 --dist worksteal

fuzz: .venv/.developing  ## rubbish into everything that takes something in, for some five minutes: EXAMPLES=600; docs/reliability.md
	@DEBUG=1 HOSTILE_EXAMPLES=$(or $(EXAMPLES),600) HOSTILE_INPUT_REPORT=docs/reliability.md $(PYTHON) -m pytest -v smetabot/tests/test_hostile_input.py

chaos: .venv/.running  ## faults of all kinds to all jobs and acts, on a server of its own: SEED=1; docs/reliability.md
	@$(PYTHON) -m chaos --seed $(or $(SEED),1)

bench: .venv/.running  ## beside hand-written SQL and stock Django, on data of its own: SIZE=s|m|l, ONLY=gifts,lists; docs/benchmarks.md
	@DEBUG=1 $(PYTHON) -m bench --size $(SIZE) $(if $(ONLY),--only $(ONLY))

backup-test: .venv/.running  ## backs up, spoils, kills and restores a database of the bench: SIZE=s|m|l; docs/reliability.md
	@DEBUG=1 $(PYTHON) -m bench.backups --size $(SIZE)

load: .venv/.running  ## staff, the bot and the hourly jobs at once, on a copy of the bench's data: SIZE=xs|s|m|l; docs/reliability.md
	@DEBUG=1 $(PYTHON) -m load --size $(SIZE)

soak: .venv/.running  ## the same for ten minutes, and whether memory and connections stay flat
	@DEBUG=1 $(PYTHON) -m load --size $(SIZE) --soak

cluster-test: .venv/.running $(CLUSTER)  ## two PostgreSQL under Patroni whose leader is killed while all write: ROUNDS=3 SEED=1; docs/reliability.md
	@$(PYTHON) -m cluster --rounds $(or $(ROUNDS),3) --seed $(or $(SEED),1)

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
	@env DEBUG=0 $$(grep -h '^[A-Z]' deploy/env/common.env deploy/env/web.env) \
		SECRET_KEY=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(MANAGE) check --deploy --fail-level WARNING

deploy-test: .venv/.running $(DEBOOTSTRAP)  ## docs/deployment.md as it is written, in a bare Debian of its own: as root, some minutes
	@$(PYTHON) -m deploy.rehearsal

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

$(CLUSTER) &:
	@[ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "Install first: apt-get install patroni etcd-server haproxy pgbouncer postgresql-15" >&2; exit 1; }
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends patroni etcd-server haproxy pgbouncer postgresql-15 > /dev/null

$(DEBOOTSTRAP):
	@[ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "deploy-test takes root on Debian, a network, and debootstrap" >&2; exit 1; }
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends debootstrap > /dev/null
