package db

import (
	"time"

	"github.com/uptrace/bun"
)

// OutboxMail is a row of outbox: a mail that waits to be sent. What it says is sealed.
type OutboxMail struct {
	bun.BaseModel `bun:"table:outbox,alias:ob"`

	// ID is the local part of the mail's Message-ID.
	ID     string `bun:",pk"`
	Sealed []byte
	// Tries is how often a server has begun to send it.
	Tries int
	// DueAt is when it is sent, and while a server sends it, when another one may.
	DueAt time.Time
	// ExpiresAt is when it is given up.
	ExpiresAt time.Time
}
