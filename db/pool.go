package db

import (
	"context"
	"iter"
	"math"

	"github.com/jackc/pgx/v5/pgxpool"

	"roster/queue"
)

// pools are the connections of this server. Each kind of work has its own, so that one
// kind never keeps another waiting. Behind a pooler, and where pool_max_conns leaves too
// few connections, a pool stands in for another one.
type pools struct {
	// reads runs statements outside transactions, and snapshots. PostgreSQL keeps one plan
	// of each statement.
	reads *pool
	// planning runs statements that are planned for the values of each run.
	planning *pool
	// writes runs transactions.
	writes *pool
	// urgent runs everything whose context comes from Urgently.
	urgent *pool
}

// pool is a pool of connections.
type pool struct {
	*pgxpool.Pool
	// shares keeps one holder from having more than a quarter of the connections.
	shares *queue.Queue
}

func newPool(ctx context.Context, config *pgxpool.Config) (*pool, error) {
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	// The callers bound how much waits.
	return &pool{p, queue.New(queue.Limits{Running: int(config.MaxConns), Waiting: math.MaxInt})}, nil
}

// all returns each pool once, by its name in the metrics.
func (p *pools) all() iter.Seq2[string, *pool] {
	return func(yield func(string, *pool) bool) {
		seen := map[*pool]bool{}
		for _, one := range []struct {
			name string
			pool *pool
		}{{"reads", p.reads}, {"planning", p.planning}, {"writes", p.writes}, {"urgent", p.urgent}} {
			if one.pool == nil || seen[one.pool] {
				continue
			}
			seen[one.pool] = true
			if !yield(one.name, one.pool) {
				return
			}
		}
	}
}

type urgentKey struct{}

// Urgently returns a context whose statements and transactions run on connections that
// nothing else uses. It is for work that has to be done however busy the server is, and
// that is bounded elsewhere.
func Urgently(ctx context.Context) context.Context {
	return context.WithValue(ctx, urgentKey{}, true)
}

// poolKey is the key of the pool that a context has chosen.
type poolKey struct{}

// On returns a context whose statements and transactions, of any DB, run on the connections of
// d. It is for work that has connections of its own: see Dedicated.
func (d *DB) On(ctx context.Context) context.Context {
	return context.WithValue(ctx, poolKey{}, d.pools.reads)
}

// poolOf returns the pool for ctx: usual, unless ctx comes from On or Urgently.
func (d *DB) poolOf(ctx context.Context, usual *pool) *pool {
	if chosen, ok := ctx.Value(poolKey{}).(*pool); ok {
		return chosen
	}
	if ctx.Value(urgentKey{}) != nil {
		return d.pools.urgent
	}
	return usual
}
