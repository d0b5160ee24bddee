#!/bin/sh
# In the place of K3s's installer: as that does, it writes a unit with the flags that it is
# told, and starts it. The stand-in for K3s is there already, and knows neither datastore
# nor tokens: who is to join has to be told one, and is only asked to reach the server.
set -eu
[ "$1" = server ]
shift
flags=
while [ $# -gt 0 ]; do
	case $1 in
	--cluster-init) ;;
	--server)
		[ -n "$K3S_TOKEN" ]
		address=${2#https://}
		timeout 5 bash -c ": </dev/tcp/${address%:*}/${address#*:}"
		shift
		;;
	*) flags="$flags '$1'" ;;
	esac
	shift
done
# The flags of the end-to-end tests make place for those of the page.
sed -e "/--tls-san/,+1d" -e "s|^    server .*|    server$flags \\\\|" /usr/local/share/quickstart/k3s.service |
	sudo tee /etc/systemd/system/k3s.service >/dev/null
sudo systemctl daemon-reload
sudo systemctl enable --now k3s
