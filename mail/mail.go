// Package mail sends mails about signing in: codes, and notices of what has changed.
//
//	Message ── Outbox.Add, in the transaction of its cause ──▶ a row of outbox, sealed
//	                                  commit, Outbox.Wake
//	a row ── Outbox.Run, on whichever server is first ──▶ Sender ──▶ deleted
//
// A mail is written when it is added, and nobody can read it in the database. It is sent
// once in the ordinary case. If a server ends while it sends, another one sends the mail
// again, with the same Message-ID. Mails of a transaction that is rolled back never were.
//
// Begin with Message and Outbox. SMTP and Mailbox are the two senders: an SMTP server, and
// a page for development. The text of mails is in templates/.
package mail

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
)

// Mail is a mail as it is sent.
type Mail struct {
	// ID is the local part of the Message-ID. It has letters only.
	ID string `json:"id"`
	// Domain is the part of the Message-ID after the @.
	Domain  string    `json:"domain"`
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	Code    string    `json:"code,omitempty"`
}

// Sender sends mails. Its errors are for the log: they have neither the address nor the
// code, nor words of the SMTP server, which may repeat them.
type Sender interface {
	// Send sends the mail once. If sending it again is of no use, the error is a refusal.
	// Send ends soon after ctx does.
	Send(ctx context.Context, m *Mail) error
}

// refusal is the error of a mail that will never be accepted.
type refusal struct{ reason string }

// Error returns the reason.
func (r *refusal) Error() string { return r.reason }

// newID returns the id of a mail: random letters without digits, which could be taken for
// a code.
func newID() string {
	return strings.Map(func(r rune) rune {
		if '2' <= r && r <= '7' {
			return r - '2' + 'a'
		}
		return r
	}, rand.Text())
}
