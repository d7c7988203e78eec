# The life of the Debian package on a host with systemd and no network. Prints one line NAME=VALUE for each observation.
config=/etc/ekm-gateway/gateway.yaml
unit=ekm-gateway.service
say() { echo "$1=$(eval "$2" 2>&1 | tr '\n' ' ' | sed 's/ $//')"; }
property() { systemctl show --value --property="$1" "$unit"; }
# Waits until the status matches, for at most 20 seconds.
until_status() {
  for _ in $(seq 100); do
    case "$(property StatusText)" in *"$1"*) return ;; esac
    sleep 0.2
  done
}
# Waits until the event is in the log's file, for at most 20 seconds: the log is written a moment after the start.
until_logged() {
  for _ in $(seq 100); do
    grep -q "\"event\":\"$1\"" /var/log/ekm-gateway/gateway.log && return
    sleep 0.2
  done
  return 1
}
ask() {
  /usr/lib/ekm-gateway/lib/node -e '
    const options = { host: "127.0.0.1", port: 443, method: "POST", path: "/azureekm/example/info?api-version=0.1-preview", rejectUnauthorized: false }
    require("node:https").request(options, ({ statusCode }) => { console.log(statusCode); process.exit() })
      .on("error", ({ code }) => console.log(code)).end()'
}
ip link set lo up 2>/dev/null || true

say installed 'dpkg -i /first.deb >/dev/null; echo $?'
say not_started 'systemctl is-active $unit'
say valid 'ekm-gateway config validate --config $config'
say without_store 'systemctl start $unit; property ExecMainStatus; property NRestarts'
say created 'ekm-gateway-keys create aes-1 --type oct'
say started 'systemctl enable --now --quiet $unit; echo $?'
say active 'systemctl is-active $unit'
say answered 'ask'
pid=$(property MainPID)
say not_root 'stat -c %U /proc/$pid | grep -c root'
say capabilities 'grep CapBnd /proc/$pid/status | cut -f 2'
say secret_of_root 'stat -c "%U %a" /etc/ekm-gateway/secrets/server.key'
until_status Pools
say status 'property StatusText'

say reloaded 'systemctl reload $unit; echo $?'
until_status Serving
say reloaded_same_process '[ "$(property MainPID)" = "$pid" ]; echo $?'
cp $config /kept.yaml
echo 'nonsense: true' >>$config
systemctl reload $unit
until_status failed
say reload_failed 'property StatusText'
say after_failed_reload 'systemctl is-active $unit'
cp /kept.yaml $config

mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n' >/run/systemd/system/$unit.d/test.conf
systemctl daemon-reload
systemctl restart $unit
sleep 9
say fed 'property NRestarts'
kill -STOP "$(property MainPID)"
for _ in $(seq 100); do [ "$(property NRestarts)" = 0 ] || break; sleep 0.2; done
say starved 'property NRestarts'
until_status Serving
say after_watchdog 'systemctl is-active $unit'
printf '[Service]\nEnvironment=EKM_GATEWAY__LOG__DESTINATION=/var/log/ekm-gateway/gateway.log\n' \
  >/run/systemd/system/$unit.d/test.conf
systemctl daemon-reload
systemctl restart $unit
say logged_to_file 'until_logged listening; echo $?'
say log_of_root_alone 'stat -L -c %a /var/log/ekm-gateway'
rm -r /run/systemd/system/$unit.d
systemctl daemon-reload
systemctl restart $unit

sed -i 's/path.*azureekm.example/&/; s/name: example/name: mine/' $config
pid=$(property MainPID)
say upgraded 'dpkg -i /second.deb >/dev/null; echo $?'
say upgraded_version 'dpkg-query -W -f "\${Version}" ekm-gateway'
say upgraded_restarted '[ "$(property MainPID)" = "$pid" ]; echo $?'
say upgraded_active 'systemctl is-active $unit'
say own_setting 'grep -c "name: mine" $config'
say upgraded_keys 'ekm-gateway-keys list'
say stopped 'systemctl stop $unit; property Result'

say purged 'dpkg --purge ekm-gateway >/dev/null; echo $?'
say purged_files 'ls /usr/bin/ekm-gateway /usr/lib/ekm-gateway $config 2>/dev/null | wc -l'
say kept_keys 'ls /var/lib/private/ekm-gateway/keys/'
say kept_secrets 'ls /etc/ekm-gateway/secrets'
say again 'dpkg -i /second.deb >/dev/null; ekm-gateway-keys list'
say journal_secrets 'journalctl --no-pager | grep -c -F "$(cat /etc/ekm-gateway/secrets/store.passphrase)"'
echo done=yes
