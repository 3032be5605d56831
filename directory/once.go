package directory

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"roster/changes"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// MaxKeptAnswer is the size of the largest answer that is kept for a retry, in
// bytes.
const MaxKeptAnswer = 1 << 20

// ErrOtherRequest is told to who sends another request under the key of one that
// was answered before.
var ErrOtherRequest = problem.New(problem.Conflict, "This Idempotency-Key came with another request before: choose a new key for a new request.")

// Repeatable is a request that its client may send again, which will not make it
// happen again.
type Repeatable struct {
	name [sha256.Size]byte // by which its answer is found
	// cipher encrypts the answer: AES-256-GCM with a random nonce, since a name can
	// be used again after its answer was forgotten.
	cipher  cipher.AEAD
	request [sha256.Size]byte
}

// maxIdempotencyKey is how many characters a key has at most.
const maxIdempotencyKey = 255

// aes256 is the size of a key of AES-256, in bytes.
const aes256 = 32

// NewRepeatable describes a request: by the secret that its client has
// authenticated with, the key under which the client will know it again, and the
// hash of what is asked for. It fails with INVALID for a key that is not 1 to 255
// visible characters of ASCII.
//
// What is stored of it takes both credential and key to find and to read.
func NewRepeatable(credential, key secret.Text, request [sha256.Size]byte) (Repeatable, error) {
	name := key.Reveal()
	if len(name) < 1 || len(name) > maxIdempotencyKey || !isVisible(name) {
		return Repeatable{}, problem.New(problem.Invalid, "An Idempotency-Key is 1 to %d visible characters of ASCII.", maxIdempotencyKey)
	}
	derived, err := hkdf.Key(sha256.New, []byte(credential.Reveal()), nil, "roster idempotency "+name, sha256.Size+aes256)
	if err != nil {
		return Repeatable{}, err
	}
	block, err := aes.NewCipher(derived[sha256.Size:])
	if err != nil {
		return Repeatable{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return Repeatable{name: [sha256.Size]byte(derived), cipher: aead, request: request}, err
}

// Name is the same for all requests of one client under one key.
func (r *Repeatable) Name() [sha256.Size]byte { return r.name }

// Once is changes.Writer.Atomically for what must happen once however often it is asked for: it
// runs fn and keeps the answer in the same transaction, or gives the answer that
// was kept when it happened before, within the last 24 hours. So the answer is
// there if and only if the effects are; when fn or the commit fails, neither is,
// and the next one who asks runs fn anew.
//
// answer is called when fn has succeeded, with the revision that the commit will
// lead to, 0 if nothing was changed. Who asks meanwhile waits. Once fails with
// ErrOtherRequest when the key belongs to another request, and with LIMITED when
// the answer is larger than MaxKeptAnswer.
func (d *Directory) Once(ctx context.Context, r *Repeatable, fn func(context.Context) error, answer func(db.Revision) []byte) ([]byte, error) {
	var given []byte
	var kept *keptAnswer
	err := d.Writer.Atomically(ctx, func(ctx context.Context) error {
		var err error
		if kept, err = d.claim(ctx, r); err != nil || kept != nil {
			return err
		}
		if err := fn(ctx); err != nil {
			return err
		}
		given = answer(changes.WrittenIn(ctx).Revision())
		return d.keep(ctx, r, given)
	})
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return given, nil
	}
	// The answer acknowledges what it tells of, now by this server: it must not
	// answer by anything older. If it cannot find out in time, it has stopped
	// answering from memory by then.
	if err := d.feed.Wait(ctx, changes.Revision{}.With(kept.XID)); err != nil && !problem.Is(err, problem.Stale) {
		return nil, err
	}
	return r.open(kept.Sealed)
}

// keptAnswer is an answer on record.
type keptAnswer struct {
	Sealed []byte
	XID    db.Revision `bun:"xid"`
}

// claimText takes a name for this transaction, unless it has an answer that is
// not yet to be forgotten. While another transaction has it, the statement waits
// for that one to end.
const claimText = `
insert into kept_answers as kept (name) values ($1)
on conflict (name) do update set at = excluded.at, xid = excluded.xid, sealed = null
	where kept.at < statement_timestamp() - interval '24 hours'
returning true`

// claim takes the name of the request, or gives the answer that it has.
func (d *Directory) claim(ctx context.Context, r *Repeatable) (*keptAnswer, error) {
	mine, err := db.SelectOne[bool](ctx, d.db, claimText, r.name[:])
	if err != nil || mine != nil {
		return nil, err
	}
	kept, err := db.SelectOne[keptAnswer](ctx, d.db, "select sealed, xid from kept_answers where name = $1", r.name[:])
	if err == nil && kept == nil {
		err = fmt.Errorf("the answer %x… was there, and is gone", r.name[:4])
	}
	return kept, err
}

func (d *Directory) keep(ctx context.Context, r *Repeatable, answer []byte) error {
	if len(answer) > MaxKeptAnswer {
		return problem.New(problem.Limited,
			"The answer has %d bytes; with an Idempotency-Key, at most %d are allowed. Ask for less of what was changed.", len(answer), MaxKeptAnswer)
	}
	_, err := db.SelectOne[bool](ctx, d.db, "update kept_answers set sealed = $2 where name = $1 returning true", r.name[:], r.seal(answer))
	return err
}

// seal encrypts an answer, and with it what was asked for, which may be guessed
// from a mere hash.
func (r *Repeatable) seal(answer []byte) []byte {
	return r.cipher.Seal(nil, nil, append(r.request[:], answer...), nil)
}

// open is the reverse of seal.
func (r *Repeatable) open(sealed []byte) ([]byte, error) {
	text, err := r.cipher.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("an answer on record: %w", err)
	}
	answer, same := bytes.CutPrefix(text, r.request[:])
	if !same {
		return nil, ErrOtherRequest
	}
	return answer, nil
}

// sweepEvery is how often old answers are thrown away. They count as forgotten
// before, as soon as they are too old.
const sweepEvery = time.Hour

// Sweep throws away what has become too old to be of use, now and then, until
// ctx ends. Servers that sweep at the same time share the work.
func (d *Directory) Sweep(ctx context.Context) {
	next := time.NewTicker(sweepEvery)
	defer next.Stop()
	for ctx.Err() == nil {
		if err := d.forgetAnswers(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "old answers are not thrown away", slog.Any("cause", err))
		}
		select {
		case <-next.C:
		case <-ctx.Done():
		}
	}
}

const forgetText = `
delete from kept_answers where name in (select name from kept_answers
	where at < statement_timestamp() - interval '24 hours' order by at limit 1000 for update skip locked)
returning true`

func (d *Directory) forgetAnswers(ctx context.Context) error {
	for {
		gone, err := db.Select[bool](ctx, d.db, forgetText)
		if err != nil || len(gone) == 0 {
			return err
		}
	}
}
