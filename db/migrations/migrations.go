// Package migrations holds the schema of the database, as SQL files for goose. A
// file is never changed once it has been released: a change of the schema is a new
// file. DB.Migrate runs them, and begins with the comment of the first to read.
package migrations

import "embed"

// Files are the migrations, named by number and purpose; goose runs them by number.
//
//go:embed *.sql
var Files embed.FS
