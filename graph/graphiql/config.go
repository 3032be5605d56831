package graphiql

import (
	"encoding/json"
	"net/http"
)

// config is what the page requests when it starts. It contains no secret.
type config struct {
	Endpoint string    `json:"endpoint"`
	Examples []Example `json:"examples"`
}

// serveConfig serves the configuration uncached, so that a new release brings its
// own.
func (o Options) serveConfig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(config{Endpoint: o.Endpoint, Examples: Examples(o.Demo)}) // only the connection can fail
}
