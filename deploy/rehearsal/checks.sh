# What the page promises, after its last command; HOST is set.

fail() { tail -n 10 /var/log/units/units.log; echo "FAILED: $*"; exit 1; }
page() { curl --silent --output /tmp/page --write-out '%{http_code}' "$@"; }
cd /srv/smetabot

echo "check: the login page over nginx and TLS, with its static files compressed"
[ $(page https://$HOST/admin/login/) = 200 ] || fail "no login page"
grep -q csrfmiddlewaretoken /tmp/page || fail "no form"
css=$(grep -o '/static/[^"]*\.css' /tmp/page | head -1)
curl --silent --fail --dump-header - --output /dev/null -H 'Accept-Encoding: gzip' https://$HOST$css |
    grep -i 'content-encoding: gzip' > /dev/null || fail "$css is not compressed"
[ $(page http://$HOST/admin/login/) = 301 ] || fail "plain HTTP is served"

echo "check: a client cannot say by which scheme it came or from where"
psql() { (cd / && runuser -u postgres -- /usr/bin/psql -qAtX smetabot "$@"); }
claims() { page --cookie /tmp/jar --cookie-jar /tmp/jar -H "Referer: https://$HOST/" -H 'X-Forwarded-Proto: http' \
    -H 'X-Forwarded-For: 203.0.113.9' "$@" https://$HOST/admin/login/; }
[ $(claims) = 200 ] || fail "its scheme is believed"
token=$(grep -o 'csrfmiddlewaretoken" value="[^"]*' /tmp/page | head -1 | cut -d '"' -f 3)
[ $(claims --data "csrfmiddlewaretoken=$token&username=anna&password=wrong") = 200 ] || fail "no wrong login"
address=$(psql -c "SELECT address FROM admin.admin_actions WHERE action = 'login.failed'")
[ "$address" = 127.0.0.1 ] || fail "in the journal it comes from $address"

echo "check: by another name nothing is told, by TLS nor by the request"
[ "$(page -H 'Host: elsewhere.example.com' https://$HOST/ || true)" = 000 ] || fail "another name is answered"

echo "check: every answer is strict, nginx's own too"
strict() { curl --silent --dump-header - --output /dev/null "$@" | tr -d '\r' > /tmp/head || true
    for header in 'x-content-type-options: nosniff' 'strict-transport-security: max-age=31536000' \
        'content-security-policy: '; do
        [ "$(grep -ic "^$header" /tmp/head)" = 1 ] || fail "$* has not one $header: $(cat /tmp/head)"
    done; }
strict https://$HOST/admin/login/
strict https://$HOST/healthz
head -c 4000000 /dev/zero | strict --data-binary @- https://$HOST/admin/

echo "check: healthz for all, readyz for this machine"
[ $(page https://$HOST/healthz) = 200 ] || fail healthz
[ $(page https://$HOST/readyz) = 200 ] || fail "readyz: $(cat /tmp/page)"
ip address add 203.0.113.7/32 dev lo
from_elsewhere() { page --interface 203.0.113.7 --resolve $HOST:443:203.0.113.7 https://$HOST/$1; }
[ $(from_elsewhere readyz) = 403 ] || fail "readyz is public"
[ $(from_elsewhere healthz) = 200 ] || fail "healthz is not"

echo "check: the upgrade brought the next version"
[ "$(git -C /srv/smetabot describe --tags)" = v1 ] || fail "still the old version"

echo "check: nobody may knock without end"
for i in $(seq 90); do page https://$HOST/admin/login/; echo; done | grep 429 > /dev/null || fail "no limit at the login"

echo "check: a body that is too large is refused"
[ $(head -c 4000000 /dev/zero | page --data-binary @- https://$HOST/admin/) = 413 ] || fail "4 MB are taken"

echo "check: jobs ran as their roles, and told so in JSON"
of_jobs() { psql -c "SELECT count(*) FROM admin.job_runs WHERE (outcome = 'done') IS $1"; }
[ "$(of_jobs TRUE)" -ge 10 ] || fail "too few jobs ran"
[ "$(of_jobs 'NOT TRUE')" = 0 ] || fail "jobs failed: $(psql -c 'SELECT * FROM admin.job_runs')"
grep -q '"run_id": ' /var/log/units/units.log || fail "no run id in the log"
grep -q '"route": "admin/login/"' /var/log/units/units.log || fail "no line for a request"
who=$(psql -c "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity WHERE usename LIKE 'smetabot%'")
[ "$who" = smetabot_web ] || fail "connected is $who"

echo "check: a job that fails fails its unit, which is told"
! (cd / && systemctl start smetabot-job@import_views.service 2> /dev/null) || fail "a failed job is no failure"
grep -q 'smetabot-job@import_views.service failed' /var/log/units/units.log || fail "nobody is told of a failed job"

echo "check: gunicorn is killed and comes back"
for process in $(grep --files-with-matches --text gunicorn.conf.py /proc/[0-9]*/cmdline 2> /dev/null); do
    kill -KILL $(echo $process | cut -d / -f 3) 2> /dev/null || true
done
for i in $(seq 100); do [ $(page https://$HOST/healthz) != 200 ] || break; sleep 0.2; done
[ $(page https://$HOST/healthz) = 200 ] || fail "gunicorn stays dead"
grep -q 'smetabot-web.service failed' /var/log/units/units.log || fail "nobody is told that the web died"

echo "check: nobody is turned away while it restarts"
systemctl restart smetabot-web.service
for i in $(seq 20); do [ $(page https://$HOST/healthz) = 200 ] || fail "turned away"; done

echo "check: without the database each page answers 503, and is there again with it"
service postgresql stop > /dev/null
session="Cookie: __Host-sessionid=$(openssl rand -hex 16)"
[ $(page -H "$session" https://$HOST/admin/) = 503 ] || fail "no 503 without a database"
[ $(page https://$HOST/readyz) = 503 ] || fail "ready without a database"
[ $(page https://$HOST/healthz) = 200 ] || fail "not alive"
! grep -q 'Service Unavailable: /readyz' /var/log/units/units.log || fail "who asks whether it is ready fills the log"
service postgresql start > /dev/null
for i in $(seq 100); do [ $(page https://$HOST/readyz) != 200 ] || break; sleep 0.2; done
[ $(page https://$HOST/readyz) = 200 ] || fail "it does not recover: $(cat /tmp/page)"

echo "check: a backup is there, and none but its owner reads it or a password"
[ "$(ls /var/backups/smetabot)" ] || fail "no backup"
! runuser -u smetabot-web -- ls /var/backups/smetabot 2> /dev/null || fail "web reads backups"
! runuser -u smetabot-web -- cat /etc/smetabot/owner.env 2> /dev/null || fail "web reads the owner's password"
! runuser -u smetabot-web -- touch /srv/smetabot/x 2> /dev/null || fail "web writes code"
! grep -rqF "$(sed -n 's/^SECRET_KEY=//p' /etc/smetabot/common.env)" /var/log || fail "a secret is in a log"

echo "check: what is searched for is in no log"
page "http://$HOST/admin/find/?q=sought-name" > /dev/null
page "https://$HOST/admin/find/?q=sought-name" > /dev/null
for i in $(seq 90); do page "https://$HOST/admin/login/?next=sought-name" > /dev/null; done
mv /run/smetabot/web.sock /run/smetabot/away
[ "$(page "https://$HOST/admin/find/?q=sought-name")" = 502 ] || fail "no 502 without the program"
strict "https://$HOST/admin/find/?q=sought-name"
mv /run/smetabot/away /run/smetabot/web.sock
! grep -rl sought-name /var/log || fail "what is searched for is in a log"

echo "check: systemd takes the units and their times"
/usr/bin/systemd-analyze verify /etc/systemd/system/smetabot-web.service smetabot-job@apply_gifts.service \
    smetabot-job@backup.service smetabot-failed@x.service $(cd deploy/systemd && ls | grep timer$) 2>&1 |
    grep -i smetabot && fail "systemd-analyze verify" || true
sed -n 's/^OnCalendar=//p' deploy/systemd/*.timer | while read -r when; do
    /usr/bin/systemd-analyze calendar "$when" > /dev/null || fail "$when"
done
/usr/bin/systemd-analyze security --offline=true --threshold=35 deploy/systemd/smetabot-web.service | tail -n 1
