package main

import (
	"context"
	"io"
	"net/http"
	"runtime"

	"github.com/jackc/pgx/v5/pgxpool"
)

// plain returns the plain handler. For each query, it runs the prepared statement and
// sends the result. It has as many connections to the database as Roster.
func (c *child) plain(ctx context.Context) (http.Handler, func(), error) {
	config, err := pgxpool.ParseConfig(c.dsn)
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = int32(max(8, 4*runtime.NumCPU()))
	config.ConnConfig.Tracer = &c.statements
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.ConnConfig.RuntimeParams["jit"] = "off"
	// One plan for all values is as good, and saves planning.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	for _, q := range queries {
		if q.statement == "" {
			repeatAnswer(mux, q.name)
			continue
		}
		mux.HandleFunc("GET /"+q.name, func(w http.ResponseWriter, r *http.Request) {
			var args []any
			for _, value := range r.URL.Query()["v"] {
				args = append(args, value)
			}
			var body []byte
			if err := pool.QueryRow(r.Context(), q.statement, args...).Scan(&body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	return mux, pool.Close, nil
}

// repeatAnswer handles POST requests with the answer that was sent by PUT before. It
// reads their body, but ignores it.
func repeatAnswer(mux *http.ServeMux, name string) {
	var answer []byte
	mux.HandleFunc("PUT /"+name, func(w http.ResponseWriter, r *http.Request) {
		var err error
		if answer, err = io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}
