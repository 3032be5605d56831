package signin

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"net/netip"
	"time"

	"roster/db"
	"roster/problem"
	"roster/queue"
)

// limit bounds how often something may be tried: burst times in quick succession, and
// again for each forgive that passes. Beyond that, the pauses grow up to longest.
type limit struct {
	name    string
	burst   float64
	forgive time.Duration
	longest time.Duration
}

var (
	perAccount = limit{name: "account", burst: 10, forgive: time.Minute, longest: time.Minute}
	perSource  = limit{name: "source", burst: 100, forgive: 6 * time.Second, longest: time.Minute}

	mailsPerAddress = limit{name: "mail to address", burst: 5, forgive: 10 * time.Minute, longest: 10 * time.Minute}
	mailsPerSource  = limit{name: "mail from source", burst: 50, forgive: time.Minute, longest: 10 * time.Minute}
)

// attempt is one attempt at something that is limited.
type attempt struct {
	name  []byte
	limit limit
}

// of returns the attempt of whom the text names.
func (l limit) of(whom string) attempt {
	sum := sha256.Sum256([]byte(l.name + "\x00" + whom))
	return attempt{sum[:], l}
}

// count counts the attempts before they are made, so that any number of them at the same
// moment is no more than one after the other. It returns LIMITED if one comes too early.
// In a transaction, the count is undone with it.
func (s *Service) count(ctx context.Context, attempts ...attempt) error {
	now := s.now()
	for i, a := range attempts {
		counted, err := s.countOne(ctx, a, now)
		if err != nil {
			return err
		}
		if counted {
			continue
		}
		if err := s.forgive(ctx, attempts[:i]...); err != nil {
			return err
		}
		return s.tooEarly(ctx, a, now)
	}
	return nil
}

// counted runs fn, which tries something that is limited. The attempts are counted
// before, and taken back if fn succeeds.
func (s *Service) counted(ctx context.Context, attempts []attempt, fn func() error) error {
	if err := s.count(ctx, attempts...); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	return s.forgive(ctx, attempts...)
}

// earlierText is the number of earlier attempts, without those that are forgiven by now.
// The clocks of two servers, and two requests at the same moment, may count in another
// order than their times have.
const earlierText = "greatest(a.number - greatest(extract(epoch from excluded.at - a.at)::float8, 0) / ?, 0)"

// countOne counts an attempt unless it comes too early. One that fills the burst makes the
// next one wait for a second, and each further one for twice as long. One that is forgiven in
// part still counts as one.
func (s *Service) countOne(ctx context.Context, a attempt, now time.Time) (bool, error) {
	forgive := a.limit.forgive.Seconds()
	row := &db.Attempt{Name: a.name, Number: 1, At: now, FreeAt: now}
	done, err := s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(row).On("conflict (name) do update").
		Set("number = "+earlierText+" + 1", forgive).Set("at = greatest(a.at, excluded.at)").
		Set("free_at = excluded.at + make_interval(secs => case when ceil("+earlierText+") + 1 < ? then 0 else least(?, power(2, least(30, ceil("+earlierText+") + 1 - ?))) end)",
			forgive, a.limit.burst, a.limit.longest.Seconds(), forgive, a.limit.burst).
		Where("a.free_at <= excluded.at or ceil("+earlierText+") < ?", forgive, a.limit.burst).Exec(ctx)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

func (s *Service) tooEarly(ctx context.Context, a attempt, now time.Time) error {
	free, err := db.SelectOne[time.Time](ctx, s.Database, "select free_at from attempts where name = $1", a.name)
	if err != nil {
		return err
	}
	wait := time.Second
	if free != nil {
		wait = max(wait, free.Sub(now))
	}
	limited := problem.New(problem.Limited, "Too many attempts. Try again in %d seconds.", int(wait.Seconds()+0.999))
	limited.RetryAfter = wait
	return limited
}

// forgive takes attempts back that turned out to be right.
func (s *Service) forgive(ctx context.Context, attempts ...attempt) error {
	for _, a := range attempts {
		if _, err := s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model((*db.Attempt)(nil)).Set("number = greatest(number - 1, 0)").
			Set("free_at = least(free_at, ?)", s.now()).Where("name = ?", a.name).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// source returns the attempt of the client of ctx.
func (l limit) source(ctx context.Context) attempt {
	return l.of(SourceOf(visitOf(ctx).Address).String())
}

// SourceOf returns the addresses that count as one client with this one, an IP address in
// text form. A client with one address of version 6 has 2⁶⁴ of them.
func SourceOf(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	const network = 64
	source, _ := ip.Prefix(min(ip.BitLen(), network)) // fails only for lengths that the address does not have
	return source
}

// inFlight bounds how many passwords of one account are checked at a time. Those that are
// right would otherwise be counted as too many, until they are known to be right.
type inFlight struct{ turns queue.Turns[place] }

type place struct {
	account string
	number  int
}

// places is how many passwords of one account are checked at a time.
const places = 4

// enter waits for a place of the account.
func (f *inFlight) enter(ctx context.Context, account string) (leave func(), err error) {
	at := place{account, rand.IntN(places)}
	if err := f.turns.Enter(ctx, at); err != nil {
		return nil, err
	}
	return func() { f.turns.Leave(at) }, nil
}
