package transport

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"roster/access"
)

// sdl is the schema in its own language, for tools that want a file: compilers of
// Relay, generators of code, editors.
type sdl struct {
	text []byte
	etag string
}

// newSDL writes a schema with its directives. It declares @oneOf, too, which tools
// that are older than it refuse otherwise.
func newSDL(schema *ast.Schema) sdl {
	declared := *schema
	declared.Directives = maps.Clone(schema.Directives)
	if builtIn := schema.Directives["oneOf"]; builtIn != nil {
		oneOf := *builtIn
		oneOf.Position = nil // as if it stood in the file
		declared.Directives[oneOf.Name] = &oneOf
	}
	var text bytes.Buffer
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchema(&declared)
	sum := sha256.Sum256(text.Bytes())
	return sdl{text: text.Bytes(), etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// ServeSDL answers GET and HEAD with the schema: to everybody where introspection is
// open, and to clients with an API key otherwise.
func (h *Handler) ServeSDL(w http.ResponseWriter, incoming *http.Request) {
	r := request{handler: h, ctx: graphql.StartOperationTrace(incoming.Context()), http: incoming, writer: w}
	if err := r.authorizeSDL(); err != nil {
		r.refuse(err)
		return
	}
	header := w.Header()
	header["Content-Type"] = []string{"application/graphql; charset=utf-8"}
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = []string{"no-cache"} // ask again, by ETag
	header["Vary"] = append(header["Vary"], "Authorization")
	header["Etag"] = []string{h.sdl.etag}
	http.ServeContent(w, incoming, "", time.Time{}, bytes.NewReader(h.sdl.text))
}

func (r *request) authorizeSDL() error {
	if err := r.authenticate(); err != nil {
		return err
	}
	if !r.handler.options.Introspection && access.ActorOf(r.ctx) == nil {
		return errNoKey
	}
	return r.meter.charge(len(r.handler.sdl.text)/bytesPerCost, r.handler.gate.MaxCost())
}
