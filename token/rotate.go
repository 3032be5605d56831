package token

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
)

// The life of a key. No verifier ever meets a token by a key that it cannot know, since
//   - a server signs, and publishes keys, only by a table that it has read within maxStale;
//   - whoever has asked for the public keys may keep them for jwksMaxAge;
//   - so everybody can know a key when it signs, lead after it was made, and there is some
//     time to spare for clocks that differ;
//   - the last token of a retired key is signed by a server that has not read yet that it is
//     retired, and expires retention after its successor began to sign, or before.
const (
	// DefaultAge is how long each key signs.
	DefaultAge = 90 * 24 * time.Hour

	refreshEvery = time.Minute
	maxStale     = 10 * time.Minute
	jwksMaxAge   = time.Hour
	lead         = jwksMaxAge + maxStale + 20*time.Minute
	retention    = maxStale + MaxLife + 20*time.Minute
)

// Run calls Refresh each minute until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := k.Refresh(ctx); err != nil && ctx.Err() == nil {
			k.options.Log.WarnContext(ctx, "the signing keys in memory are not new", "cause", err)
		}
	}
}

// Rotate lets the next key of each kind sign as soon as everybody can know it, and returns
// the moment from which all do: now, unless a next key is new itself.
func (k *Keys) Rotate(ctx context.Context) (time.Time, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	now := k.clock()
	var all time.Time
	rows, err := k.maintain(ctx, now, nil, func(next *db.SigningKey) {
		signsFrom := next.CreatedAt.Add(lead)
		if signsFrom.Before(now) {
			signsFrom = now
		}
		if signsFrom.After(next.SignsFrom) {
			signsFrom = next.SignsFrom
		}
		next.SignsFrom = signsFrom
		if signsFrom.After(all) {
			all = signsFrom
		}
	})
	if err != nil {
		return time.Time{}, err
	}
	return all, k.keep(rows, now)
}

// Info describes a signing key.
type Info struct {
	ID, Algorithm string
	// State is "next", "signs" or "retired".
	State string
	// It signs from SignsFrom until the next one does.
	CreatedAt, SignsFrom time.Time
}

// List returns the keys in memory, those of each kind in the order in which they sign.
func (k *Keys) List() []Info {
	t := k.table.Load()
	var all []Info
	for _, of := range kinds {
		signs := t.at(of, k.clock())
		state := "retired"
		for _, one := range t.keys[of] {
			switch {
			case one == signs:
				state = "signs"
			case state == "signs":
				state = "next"
			}
			all = append(all, Info{ID: one.KID, Algorithm: one.Algorithm, State: state, CreatedAt: one.CreatedAt, SignsFrom: one.SignsFrom})
		}
	}
	return all
}

// isDue reports whether maintain has anything to do.
func (k *Keys) isDue(rows signingKeys, now time.Time) bool {
	if len(rows[accessTokens]) == 0 {
		return true
	}
	for _, line := range rows {
		if !line[len(line)-1].SignsFrom.After(now) {
			return true
		}
		for i := range line {
			if !k.keyring.Current(line[i].PrivateKey) && k.isOpen(&line[i]) || isOver(line, i, now) {
				return true
			}
		}
	}
	return false
}

// isOpen reports whether the keyring opens the key.
func (k *Keys) isOpen(row *db.SigningKey) bool {
	_, err := k.keyring.Open(purpose, row.PrivateKey)
	return err == nil
}

// isOver reports whether the tokens of the key at i have expired, whoever has signed them.
func isOver(line []db.SigningKey, i int, now time.Time) bool {
	return i+1 < len(line) && line[i+1].SignsFrom.Add(retention).Before(now)
}

// maintain brings the keys of the database up to date while no other server does, and
// returns them. It makes the first keys for access tokens, and for a kind that is needed. It
// calls change, unless that is nil, with the next key of each kind.
func (k *Keys) maintain(ctx context.Context, now time.Time, needed *kind, change func(next *db.SigningKey)) (rows signingKeys, err error) {
	err = k.db.InTx(ctx, func(ctx context.Context, tx bun.IDB) error {
		// Readers do not wait for this lock, only servers that are about to do the same.
		if _, err := tx.NewRaw("lock table signing_keys in share row exclusive mode").Exec(ctx); err != nil {
			return err
		}
		if rows, err = k.read(ctx); err != nil {
			return err
		}
		if _, err := k.build(rows, now); err != nil {
			return err // and nothing is sealed by a keyring that is not the one of the others
		}
		for _, of := range kinds {
			if len(rows[of]) == 0 && of != accessTokens && of != needed {
				continue
			}
			if err := k.maintainKind(ctx, tx, of, rows[of], now, change); err != nil {
				return err
			}
		}
		rows, err = k.read(ctx)
		return err
	})
	return rows, err
}

func (k *Keys) maintainKind(ctx context.Context, tx bun.IDB, of *kind, line []db.SigningKey, now time.Time, change func(next *db.SigningKey)) error {
	if err := k.complete(ctx, tx, of, line, now); err != nil || change == nil {
		return err
	}
	rows, err := k.read(ctx)
	if err != nil {
		return err
	}
	line = rows[of]
	next := &line[len(line)-1]
	change(next)
	if _, err := tx.NewUpdate().Model(next).Column("signs_from").WherePK().Exec(ctx); err != nil {
		return err
	}
	return k.complete(ctx, tx, of, line, now)
}

// complete makes the keys that are missing: one that signs now and one that signs next. It
// deletes the ones that are over, and seals again what an older key has sealed.
func (k *Keys) complete(ctx context.Context, tx bun.IDB, of *kind, line []db.SigningKey, now time.Time) error {
	for i := range line {
		row := &line[i]
		var err error
		switch {
		case isOver(line, i, now):
			_, err = tx.NewDelete().Model(row).WherePK().Exec(ctx)
		case !k.keyring.Current(row.PrivateKey) && k.isOpen(row):
			var der []byte
			if der, err = k.keyring.Open(purpose, row.PrivateKey); err == nil {
				row.PrivateKey = k.keyring.Seal(purpose, der)
				_, err = tx.NewUpdate().Model(row).Column("private_key").WherePK().Exec(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
	last := now
	if len(line) == 0 {
		if err := k.insert(ctx, tx, of, now, now); err != nil {
			return err
		}
	} else if last = line[len(line)-1].SignsFrom; last.After(now) {
		return nil
	}
	signsFrom := last.Add(k.options.Age)
	if soonest := now.Add(lead); signsFrom.Before(soonest) {
		signsFrom = soonest
	}
	return k.insert(ctx, tx, of, now, signsFrom)
}

// insert makes a key.
func (k *Keys) insert(ctx context.Context, tx bun.IDB, of *kind, now, signsFrom time.Time) error {
	private, err := of.newKey()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	kid, err := thumbprint(private)
	if err != nil {
		return err
	}
	row := &db.SigningKey{KID: kid, Algorithm: string(of.algorithm), PrivateKey: k.keyring.Seal(purpose, der), CreatedAt: now, SignsFrom: signsFrom}
	_, err = tx.NewInsert().Model(row).Exec(ctx)
	return err
}
