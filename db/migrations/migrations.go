// Package migrations holds the schema of the database as goose migrations, in order.
package migrations

import "embed"

// Files are the migrations, named by number and purpose.
//
//go:embed *.sql
var Files embed.FS
