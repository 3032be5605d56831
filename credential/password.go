package credential

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"roster/problem"
	"roster/queue"
	"roster/secret"
)

// Passwords hashes passwords and verifies them, one on each core at a time: a hash needs
// 46 MiB and some 50 ms, and one that another program has made 256 MiB and some 3 seconds at
// most. It is safe for concurrent use.
type Passwords struct {
	queue  *queue.Queue
	hashed atomic.Uint64
	// decoy stands in for the hash of an account that does not exist. New hashes have its
	// parameters.
	decoy argon2Hash
}

// maxWait is how long a password waits for its turn.
const maxWait = 5 * time.Second

// NewPasswords returns Passwords that hash as many at a time as there are cores, while
// so many more wait. No holder of contexts (queue.WithHolders) has more than a quarter
// of the turns.
func NewPasswords(cores, waiting int) *Passwords {
	return newPasswords(cores, waiting, argonMemory)
}

func newPasswords(cores, waiting int, memory uint32) *Passwords {
	decoy := newArgon2id(memory)
	rand.Read(decoy.tag) // never fails, and is the tag of no password
	return &Passwords{
		queue: queue.New(queue.Limits{Running: cores, Waiting: waiting, WaitTimeout: maxWait}),
		decoy: decoy,
	}
}

var errPasswordsBusy = problem.New(problem.Unavailable, "Too many passwords are being checked at the moment. Try again in a second.")

// Hash returns the hash of a password in the form of PHC strings
// (https://github.com/P-H-C/phc-string-format): argon2id (RFC 9106) over the NFC of the
// password, with a salt of its own. It returns INVALID for a password that is longer than
// CheckPassword allows, and UNAVAILABLE if too many are being hashed.
func (p *Passwords) Hash(ctx context.Context, password secret.Text) (string, error) {
	if err := checkSize(password); err != nil {
		return "", err
	}
	hash := newArgon2id(p.decoy.memory)
	err := p.inTurn(ctx, func() { hash.derive(normal(password)) })
	if err != nil {
		return "", err
	}
	return hash.String(), nil
}

// Verify reports whether hash is a hash of the password, and whether it is outdated: then
// the caller should store the one that Hash returns. If hash is empty, since there is no
// account or it has no password, the password does not match, and the work is the same.
//
// The hashes of other programs are of the bytes that were typed, and ours are of their NFC.
// Verify tries both where they differ, with every hash.
//
// It returns UNAVAILABLE if too many passwords are being checked, and another error for a
// hash that it does not understand, or that would take more work than any that it makes
// or imports: see CheckHash.
func (p *Passwords) Verify(ctx context.Context, hash string, password secret.Text) (matches, outdated bool, err error) {
	expected, exists := hasher(p.decoy), hash != ""
	if exists {
		if expected, err = parseHash(hash); err != nil {
			return false, false, fmt.Errorf("credential: a stored hash of a password is %w", err)
		}
	}
	tried := password
	if checkSize(password) != nil {
		tried = secret.Text{} // no password of an account is that long, and none is empty
	}
	typed, normal := tried.Reveal(), normal(tried)
	err = p.inTurn(ctx, func() {
		matches = p.look(expected, normal)
		if typed != normal && p.look(expected, typed) && !matches {
			matches, outdated = true, true
		}
	})
	return matches && exists && !tried.Empty(), exists && (outdated || expected.outdated(p.decoy)), err
}

// look reports whether the password has the hash. It takes no less time than a look at the
// decoy, so that accounts with a quick hash do not stand out.
func (p *Passwords) look(at hasher, password string) bool {
	if at.isQuick() {
		p.decoy.matches(password)
	}
	return at.matches(password)
}

// Hashed returns how often passwords were hashed, new ones and those that were verified.
func (p *Passwords) Hashed() uint64 { return p.hashed.Load() }

// inTurn runs hash when it is its turn.
func (p *Passwords) inTurn(ctx context.Context, hash func()) error {
	leave, err := p.queue.Enter(ctx)
	if errors.Is(err, queue.ErrBusy) {
		return errPasswordsBusy
	}
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	defer leave()
	p.hashed.Add(1)
	hash()
	return nil
}

// normal returns the password in the one form of Unicode in which it is hashed (NFC),
// whichever form a keyboard sends.
func normal(password secret.Text) string { return norm.NFC.String(password.Reveal()) }
