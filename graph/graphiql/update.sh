#!/bin/sh
# Fetches the playground's files from npm into assets/, and their licences into LICENSES.
#
# Needs npm and node; nothing else in the repository does. The files are committed, so this runs only
# to change a version: change it below and in assets/index.html (the tests find what was forgotten), run
# `go generate ./graph/graphiql`, and look at the page in a browser.
#
# GraphiQL 5 and React 19 no longer come as plain files which a page can load without a bundler.
set -eu
graphiql=4.1.2
explorer=4.0.6
react=18.3.1

cd "$(dirname "$0")"
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take PACKAGE VERSION FOLDER FILE... copies files of one published package. The folder names the
# version, because its files are cached by browsers for a year.
take() {
	package=$1 version=$2 folder=$here/assets/$3
	shift 3
	mkdir -p "$work/unpacked" "$folder"
	tar -xzf "$work/$(cd "$work" && npm pack --silent "$package@$version")" -C "$work/unpacked" --strip-components=1
	for file in "$@"; do cp "$work/unpacked/$file" "$folder/$(basename "$file")"; done
	rm -r "$work/unpacked"
}

rm -rf assets/*-[0-9]*
take react "$react" "react-$react" umd/react.production.min.js
take react-dom "$react" "react-dom-$react" umd/react-dom.production.min.js
take graphiql "$graphiql" "graphiql-$graphiql" graphiql.min.js graphiql.min.css graphiql.min.js.map
take @graphiql/plugin-explorer "$explorer" "explorer-$explorer" dist/index.umd.js dist/style.css
chmod 644 assets/*/*

# The source map says which packages are inside graphiql.min.js, and its style sheet holds two fonts;
# the licence of each has to go with it.
mv "assets/graphiql-$graphiql/graphiql.min.js.map" "$work/map.json"
cd "$work"
npm install --silent --no-save --ignore-scripts --no-audit --no-fund \
	"graphiql@$graphiql" "@graphiql/plugin-explorer@$explorer" "react@$react" "react-dom@$react" \
	graphql@16 graphql-ws@5 @react-aria/utils@3.29 @radix-ui/react-use-escape-keydown@1 \
	@fontsource/roboto@5.0.8 @fontsource/fira-code@5
node "$here/licenses.js" map.json >"$here/LICENSES"
