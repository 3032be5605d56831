package mail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/secret"
)

// The times of an outbox. A mail whose server has ended while it sent is sent again
// claimTime later, at the next look of another one: within a minute.
const (
	// pollTime is how often each server looks for mails, its own apart, of which Wake
	// tells it.
	pollTime = 3 * time.Second
	// sendTime is how long sending a mail may take.
	sendTime = 40 * time.Second
	// claimTime is how long a mail is left to the server that sends it.
	claimTime = 50 * time.Second
	// graceTime is how long a server that stops goes on with mails that it is sending.
	graceTime = 5 * time.Second
	// firstPause is how long it takes until a mail is sent again for the first time; each
	// further pause is twice as long, up to longestPause.
	firstPause   = 30 * time.Second
	longestPause = time.Hour
	// maxLifetime is when a mail is given up.
	maxLifetime = 24 * time.Hour
)

// workers is how many mails a server sends at a time, so that a slow recipient does not keep
// the others waiting.
const workers = 8

// sealPurpose is what mails are sealed for.
const sealPurpose = "mail"

// Options configure an outbox. All but Sender are required.
type Options struct {
	Keyring   *secret.Keyring
	Templates *Templates
	// From is the sender's address.
	From *netmail.Address
	// Sender sends the mails; nil if there is no way to send any.
	Sender Sender
	Log    *slog.Logger
}

// Outbox keeps mails in the database until they are sent. It is safe for concurrent use.
type Outbox struct {
	db *db.DB
	Options
	wake                           chan struct{}
	sent, failed, givenUp, waiting atomic.Int64
}

// NewOutbox returns the outbox of the database. Nothing is sent until Run is called.
func NewOutbox(database *db.DB, o Options) *Outbox {
	return &Outbox{db: database, Options: o, wake: make(chan struct{}, 1)}
}

// Configured reports whether mails are sent. If not, Add does nothing.
func (o *Outbox) Configured() bool { return o.Sender != nil }

// Stats are the figures of an outbox.
type Stats struct {
	// Sent, Failed and GivenUp count what this server has done: mails that were sent,
	// attempts that failed, and mails that will not be sent any more.
	Sent, Failed, GivenUp int64
	// Waiting is how many mails are in the outbox, of all servers, a few seconds ago.
	Waiting int64
}

// Stats returns the figures of the outbox.
func (o *Outbox) Stats() Stats {
	return Stats{Sent: o.sent.Load(), Failed: o.failed.Load(), GivenUp: o.givenUp.Load(), Waiting: o.waiting.Load()}
}

const addText = `
insert into outbox (id, sealed, due_at, expires_at)
values (?, ?, statement_timestamp(), statement_timestamp() + ? * interval '1 second')`

// Add writes the mail of a message, and puts it into the outbox in the transaction tx: it
// is sent if and only if tx commits. Call Wake after the commit.
func (o *Outbox) Add(ctx context.Context, tx bun.IDB, m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	if !o.Configured() {
		return nil
	}
	m.Lifetime = min(cmp.Or(m.Lifetime, maxLifetime), maxLifetime)
	content, err := o.Templates.render(&m)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	written := Mail{
		ID: newID(), Domain: domainOf(o.From.Address), At: time.Now().UTC(), Kind: m.Kind, To: m.To,
		Subject: content.Subject, Text: content.Text, HTML: content.HTML, Code: m.Code.Reveal(),
	}
	text, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	_, err = tx.NewRaw(addText, written.ID, o.Keyring.Seal(sealPurpose, text), m.Lifetime.Seconds()).Exec(ctx)
	return err
}

// Wake makes Run look for mails at once. It is for after the commit; without it, a mail
// waits for some seconds.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run sends mails until ctx ends, and then takes a few seconds at most to finish the ones
// that it is sending. Several servers share the work.
func (o *Outbox) Run(ctx context.Context) {
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	busy := make(chan struct{}, workers)
	o.count(ctx)
	for ctx.Err() == nil {
		for _, row := range o.claim(ctx, cap(busy)-len(busy)) {
			busy <- struct{}{}
			sending.Go(func() {
				o.deliver(ctx, &row)
				<-busy
				o.Wake() // there may be more than could be claimed
			})
		}
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-poll.C:
			o.count(ctx)
		}
	}
}

func (o *Outbox) count(ctx context.Context) {
	n, err := db.SelectOne[int64](ctx, o.db, "select count(*) from outbox")
	if err == nil && n != nil {
		o.waiting.Store(*n)
	}
}

// claimed is a row that this server is to send, or to give up.
type claimed struct {
	ID     string
	Sealed []byte
	// Tries also tells claims of the same row apart: who comes back after somebody else
	// has claimed it has another one.
	Tries   int
	Expired bool
}

// claimText claims mails that are due, the ones first that were never tried, so that none
// waits behind mails for a slow server. No lock is held while they are sent. Without a way to send
// them, it claims only those that are to be given up.
const claimText = `
with claimed as (
	update outbox set tries = tries + 1, due_at = statement_timestamp() + $2 * interval '1 second'
	where id in (select id from outbox where due_at <= statement_timestamp() and ($3 or expires_at <= statement_timestamp())
		order by tries, due_at limit $1 for update skip locked)
	returning id, sealed, tries, expires_at)
select id, sealed, tries, expires_at <= statement_timestamp() as expired from claimed`

// claim returns at most n mails that this server is to send.
func (o *Outbox) claim(ctx context.Context, n int) []claimed {
	if n == 0 {
		return nil
	}
	rows, err := db.Select[claimed](ctx, o.db, claimText, n, claimTime.Seconds(), o.Configured())
	if err != nil && ctx.Err() == nil {
		o.Log.WarnContext(ctx, "the outbox cannot be read; it is tried again", "cause", err)
	}
	return rows
}

// errForNobody says that there is nobody to send the mail to. See Message.ForNobody.
var errForNobody = errors.New("the mail is for nobody")

var errExpired = &refusal{"it was too late for it to be of use"}

// deliver sends a mail, and writes down how that ended.
func (o *Outbox) deliver(ctx context.Context, row *claimed) {
	began := time.Now()
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	defer cancel()
	stopping := context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })
	defer stopping()
	kind, err := o.send(sendCtx, row)
	log := o.Log.With("mail", row.ID, "kind", string(kind), "tries", row.Tries)
	refused, isRefused := errors.AsType[*refusal](err)
	switch {
	case errors.Is(err, errForNobody):
		o.settle(ctx, log, "delete from outbox where id = $1 returning true", row.ID)
	case err == nil:
		o.sent.Add(1)
		log.DebugContext(ctx, "mail sent", "took", time.Since(began))
		o.settle(ctx, log, "delete from outbox where id = $1 returning true", row.ID)
	case isRefused:
		o.givenUp.Add(1)
		log.ErrorContext(ctx, "mail given up", "cause", refused.reason)
		o.settle(ctx, log, "delete from outbox where id = $1 and tries = $2 returning true", row.ID, row.Tries)
	default:
		o.failed.Add(1)
		pause := pauseAfter(row.Tries)
		if ctx.Err() != nil {
			pause = 0 // another server can send it at once
		}
		log.WarnContext(ctx, "mail not sent; it is tried again", "cause", err, "pause", pause)
		o.settle(ctx, log, postponeText, row.ID, row.Tries, pause.Seconds())
	}
}

// send sends the mail of a row, and returns its kind. It returns errForNobody if nobody is
// to get it.
func (o *Outbox) send(ctx context.Context, row *claimed) (Kind, error) {
	if row.Expired {
		return "", errExpired
	}
	text, err := o.Keyring.Open(sealPurpose, row.Sealed)
	if err != nil {
		// Another server may have the key.
		return "", errors.New("no key of ROSTER_SECRET_KEY opens it")
	}
	m := &Mail{}
	if err := json.Unmarshal(text, m); err != nil || m.ID != row.ID {
		return "", errors.New("it is not the mail that was put there")
	}
	if m.To == "" {
		return m.Kind, errForNobody
	}
	return m.Kind, o.Sender.Send(ctx, m)
}

// pauseAfter returns the time until a mail is sent again that was tried so many times.
func pauseAfter(tries int) time.Duration {
	pause := firstPause
	for range tries - 1 {
		if pause *= 2; pause >= longestPause {
			return longestPause
		}
	}
	return pause
}

// postponeText lets a mail wait, but not for longer than until it is given up.
const postponeText = `
update outbox set due_at = least(statement_timestamp() + $3 * interval '1 second', expires_at)
where id = $1 and tries = $2
returning true`

// The attempts to write down how sending a mail ended: if the database is away for longer,
// the mail may be sent again.
const (
	settleTries = 5
	settlePause = time.Second
)

// settle runs the statement that ends a claim.
func (o *Outbox) settle(ctx context.Context, log *slog.Logger, text string, args ...any) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTime-sendTime)
	defer cancel()
	var err error
	for range settleTries {
		if _, err = db.Select[bool](ctx, o.db, text, args...); err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(settlePause)
	}
	if err != nil {
		log.WarnContext(ctx, "the end of a mail is not written down; it may be sent again", "cause", err)
	}
}
