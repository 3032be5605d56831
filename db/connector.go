package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"roster/secret"
)

// connector makes the configurations of connections; no other file chooses anything
// about them. The URL takes precedence over the choices here, except for time zone and
// encoding, which code relies on.
type connector struct {
	config *pgxpool.Config
	// given holds the parameters in the URL, including the ones of pgx and its pool.
	given map[string]string
	// total is the largest number of connections of this server.
	total int32
	// pooled reports whether sessions end with their transactions.
	pooled bool
	// limits are the session's settings that bound each statement, and limit is
	// the statement that sets them for one transaction.
	limits map[string]string
	limit  string
	room   room
}

// required are the parameters of a session that code relies on.
var required = map[string]string{"timezone": "UTC", "client_encoding": "UTF8"}

// limits are the parameters of a session that keep one statement from harming
// the others.
var limits = map[string]string{
	"jit":                                 "off", // costs more than it gains on statements of some ms
	"statement_timeout":                   "30s", // nothing here runs for longer
	"lock_timeout":                        "5s",  // what waits for a lock keeps a connection, and others out
	"idle_in_transaction_session_timeout": "60s",
}

const (
	planCacheMode = "plan_cache_mode"
	genericPlan   = "force_generic_plan"
	customPlan    = "force_custom_plan"
)

const (
	// LeastConnections is the smallest pool_max_conns that works: three for the
	// feed of changes (to read it, to notify, to listen), one for statements that
	// are planned anew, one for transactions, and one for all others, so that reads
	// need not wait for one long write.
	LeastConnections = feedConnections + 1 + 2
	feedConnections  = 3
)

// newConnector reads the URL. The error never quotes it, since it holds a password.
func newConnector(dsn secret.Text, o Options) (*connector, error) {
	parsed, err := pgconn.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errors.New("not a PostgreSQL connection string such as postgres://user:password@host:5432/database")
	}
	pool, err := pgxpool.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errors.New("one of the settings of pgx in it (pool_max_conns, default_query_exec_mode and so on) has a value that cannot be read")
	}
	c := &connector{config: pool, given: parsed.RuntimeParams, limits: maps.Clone(limits)}
	c.total = defaultShares().sum() + feedConnections
	if c.has("pool_max_conns") {
		if c.total = pool.MaxConns; c.total < LeastConnections {
			return nil, fmt.Errorf("pool_max_conns is %d, and Roster needs at least %d connections", c.total, LeastConnections)
		}
	}
	if !c.has("pool_max_conn_idle_time") {
		pool.MaxConnIdleTime = 5 * time.Minute
	}
	pool.BeforeConnect = c.room.beforeConnect
	pool.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { pgxuuid.Register(conn.TypeMap()); return nil } // else pgx sends them as texts, after trying all else
	c.chooseSession(o)
	if o.Pooler == TransactionPooler {
		c.poolTransactions()
	}
	return c, nil
}

func (c *connector) has(parameter string) bool {
	_, given := c.given[parameter]
	return given
}

// chooseSession chooses what each connection begins with.
func (c *connector) chooseSession(o Options) {
	config := c.config.ConnConfig
	if o.Tracer != nil {
		config.Tracer = tracer{o.Tracer}
	}
	if mode := config.DefaultQueryExecMode; mode != pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // the URL asks for it where statements cannot be prepared
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second // bounds waiting for something that accepts and stays silent
	}
	parameters := config.RuntimeParams
	for name := range c.limits {
		if value, given := parameters[name]; given {
			c.limits[name] = value
		}
	}
	maps.Copy(parameters, c.limits)
	maps.Copy(parameters, required)
	for name, value := range map[string]string{
		"application_name": "roster",
		// By default, PostgreSQL estimates unnest($1) at 10 rows, and so plans anew, in
		// 0.4 ms, each statement with fewer.
		planCacheMode: genericPlan,
	} {
		if !c.has(name) {
			parameters[name] = value
		}
	}
}

// poolTransactions leaves out the settings that do not outlive a transaction; the limits
// are set in each transaction instead. It leaves out prepared statements even if the
// pooler supports them, because their plans would outlive a change of the schema there,
// however often this program connects again (docs/decisions/0009-poolers.md).
func (c *connector) poolTransactions() {
	c.pooled, c.config.ConnConfig.DefaultQueryExecMode = true, pgx.QueryExecModeCacheDescribe
	delete(c.config.ConnConfig.RuntimeParams, planCacheMode)
	var set []string
	for name, value := range c.limits {
		delete(c.config.ConnConfig.RuntimeParams, name)
		set = append(set, "set_config('"+name+"', '"+strings.ReplaceAll(value, "'", "''")+"', true)")
	}
	slices.Sort(set) // one text, which is described once
	c.limit = "select " + strings.Join(set, ", ")
}

// shares are the connections of the pools. A share of 0 means that the pool of reads
// stands in.
type shares struct{ reads, planning, writes, urgent int32 }

// defaultShares keeps PostgreSQL's processes few: beyond a few for each core, more of
// them only take turns. Idle ones close. One holder has at most a quarter of each.
// Searches are few and keep the database busy, and what is urgent is few.
func defaultShares() shares {
	cores := int32(runtime.NumCPU())
	return shares{reads: max(16, 2*cores), planning: max(2, cores), writes: max(16, 2*cores), urgent: 4}
}

// sum returns the number of connections in all.
func (s shares) sum() int32 { return s.reads + s.planning + s.writes + s.urgent }

// share divides the connections among the pools.
func (c *connector) share() shares {
	n := defaultShares()
	left := c.total - feedConnections
	n.planning = max(1, min(n.planning, left/4))
	if c.pooled { // plans are always for the values there
		n.planning = 0
	}
	left -= n.planning
	n.urgent = min(n.urgent, (left+3)/6)
	if left < 3 {
		n.urgent = 0
	}
	n.writes = min(n.writes, (left-n.urgent)/2)
	n.reads = left - n.urgent - n.writes
	return n
}

// reads returns the pool for statements that no other pool is for.
func (c *connector) reads(n shares) *pgxpool.Config {
	config := c.config.Copy()
	config.MaxConns = n.reads
	return config
}

// planning returns the pool for statements that are planned for their values.
func (c *connector) planning(connections int32) *pgxpool.Config {
	config := c.extra(connections)
	config.ConnConfig.RuntimeParams[planCacheMode] = customPlan
	return config
}

// dedicated returns a pool whose connections have a name of their own.
func (c *connector) dedicated(name string, connections int32) *pgxpool.Config {
	config := c.extra(connections)
	config.ConnConfig.RuntimeParams["application_name"] += " " + name
	return config
}

// extra returns a pool beside the one for reads. The minimums in the URL do not
// apply to it.
func (c *connector) extra(connections int32) *pgxpool.Config {
	config := c.config.Copy()
	config.MaxConns, config.MinConns, config.MinIdleConns = connections, 0, 0
	return config
}

// unlimited returns a pool without time limits.
func (c *connector) unlimited(name string, connections int32) *pgxpool.Config {
	config := c.dedicated(name, connections)
	for parameter := range config.ConnConfig.RuntimeParams {
		if strings.HasSuffix(parameter, "_timeout") {
			config.ConnConfig.RuntimeParams[parameter] = strconv.Itoa(0)
		}
	}
	return config
}
