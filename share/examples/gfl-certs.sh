#!/bin/sh
# gfl-certs.sh - an authority of one's own, and certificates for the members of
# a federation.
#
#   gfl-certs.sh FOLDER CLUSTER ROLE/ID[@HOST,...]...
#   gfl-certs.sh certs lab gateway/1@10.0.0.5,gw.lab node/1@10.0.0.6 admin/ann
#
# The first run makes the authority, FOLDER/ca.pem and ca.key. For each ROLE/ID
# FOLDER/ROLE-ID.pem and ROLE-ID.key are made: a certificate of that authority
# with the name gfl://CLUSTER/ROLE/ID, good for serving at each HOST (a name or
# an address; without any: this machine alone) and for calling. It lasts
# GFL_CERT_DAYS (365) days. Give a member its own two files and ca.pem:
#
#   gfl-gateway --tls-cert certs/gateway-1.pem --tls-key certs/gateway-1.key \
#       --tls-ca certs/ca.pem --listen 10.0.0.5:8090
#
# ca.key can name anybody: it stays where this runs, and nowhere else.
set -eu
days=${GFL_CERT_DAYS:-365}
umask 077

die() {
	echo "gfl-certs.sh: $*" >&2
	exit 2
}

[ $# -ge 2 ] || die 'usage: gfl-certs.sh FOLDER CLUSTER ROLE/ID[@HOST,...]...'
folder=$1 cluster=$2
shift 2
case $cluster in
*[!A-Za-z0-9._-]* | [!A-Za-z0-9]* | '') die "\"$cluster\" names no cluster" ;;
esac
mkdir -p "$folder"

# OpenSSL talks of what it does; only what goes wrong is of interest.
quietly() {
	said=$(openssl "$@" 2>&1) || die "openssl $1: $said"
}

new_key() { # FILE
	quietly ecparam -genkey -name prime256v1 -noout -out "$1"
}

# "IP:10.0.0.5,DNS:gw.lab" of "10.0.0.5,gw.lab"
hosts() {
	echo "$1" | tr ',' '\n' | while read -r host; do
		case $host in
		*:* | [0-9]*.*.*.*[0-9]) echo "IP:$host" ;;
		*) echo "DNS:$host" ;;
		esac
	done | paste -sd,
}

certificate() { # ROLE/ID HOSTS
	name=$(echo "$1" | tr / -)
	file=$folder/$name
	new_key "$file.key"
	cat >"$file.cnf" <<END
[req]
distinguished_name = subject
prompt = no
[subject]
CN = $name
[member]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = URI:gfl://$cluster/$1,$(hosts "$2")
END
	quietly req -new -config "$file.cnf" -key "$file.key" -out "$file.csr"
	quietly x509 -req -in "$file.csr" -CA "$folder/ca.pem" \
		-CAkey "$folder/ca.key" -CAcreateserial -days "$days" \
		-extfile "$file.cnf" -extensions member -out "$file.pem"
	rm "$file.csr" "$file.cnf"
	chmod 644 "$file.pem"
}

if [ ! -e "$folder/ca.key" ]; then
	new_key "$folder/ca.key"
	quietly req -x509 -new -key "$folder/ca.key" -days 3650 \
		-subj "/CN=gfl $cluster" -out "$folder/ca.pem" \
		-addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
		-addext 'keyUsage=critical,keyCertSign,cRLSign'
	chmod 644 "$folder/ca.pem"
fi
for member; do
	id=${member%%@*}
	case $id in
	*[!A-Za-z0-9._/-]* | */*/* | /* | */) die "$id is not ROLE/ID" ;;
	*/*) ;;
	*) die "$id is not ROLE/ID" ;;
	esac
	case $member in
	*@*) certificate "$id" "${member#*@}" ;;
	*) certificate "$id" 127.0.0.1,::1,localhost ;;
	esac
done
