package graphiql

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var files embed.FS

// contentTypes holds the content types by extension. The tables of machines differ,
// and browsers refuse a script of the wrong type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is one embedded file.
type asset struct {
	path, etag string
	body       []byte
}

// assets holds the embedded files by their path under /graphiql/.
var assets = readAssets()

func readAssets() map[string]asset {
	all := make(map[string]asset)
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		sum := sha256.Sum256(body)
		name = strings.TrimPrefix(name, "assets/")
		all[name] = asset{path: name, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary: only a broken build fails
	}
	return all
}

// serveAsset lets browsers cache a file for a year if its folder names a version.
// Otherwise it makes them ask again, by ETag.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, found := assets[r.PathValue("path")]
	if !found || a.path == "index.html" {
		http.NotFound(w, r)
		return
	}
	if path.Dir(a.path) == "." {
		w.Header().Set("Cache-Control", "no-cache")
	} else {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("ETag", a.etag)
	a.serve(w, r)
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", contentTypes[path.Ext(a.path)])
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, a.path, time.Time{}, bytes.NewReader(a.body))
}
