package changes

import (
	"context"
	"errors"
	"slices"
	"sync"

	"roster/db"
)

// interrupts knows which transactions of this server run for whom, so that ending a
// party never waits for what it is doing just now. An interrupted transaction runs again
// when the one that interrupted it is over, unless it may not any more.
type interrupts struct {
	mu sync.Mutex
	// running holds the transactions that can be interrupted.
	running map[*attempt]struct{}
	// ending holds a channel for each party that a transaction is ending, by the party's
	// id in text form; it is closed when the transaction is over.
	ending map[string]chan struct{}
}

// attempt is one run of a transaction.
type attempt struct {
	parties     []string // for whom it runs
	cancel      context.CancelFunc
	interrupted bool
	ends        []string
	over        chan struct{}
}

type attemptKey struct{}

var errInterrupted = errors.New("the transaction was interrupted")

// begin returns a context for an attempt on behalf of the parties, when nobody is ending
// one of them.
func (i *interrupts) begin(ctx context.Context, parties []string) (context.Context, *attempt, error) {
	for {
		i.mu.Lock()
		wait := i.endingOf(parties)
		if wait == nil {
			break
		}
		i.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx, nil, ctx.Err()
		}
	}
	defer i.mu.Unlock()
	a := &attempt{parties: parties, over: make(chan struct{})}
	ctx, a.cancel = context.WithCancel(ctx)
	i.running[a] = struct{}{}
	return context.WithValue(ctx, attemptKey{}, a), a, nil
}

func (i *interrupts) endingOf(parties []string) chan struct{} {
	for _, party := range parties {
		if wait := i.ending[party]; wait != nil {
			return wait
		}
	}
	return nil
}

// keep makes the attempt one that cannot be interrupted any more. It returns an error if
// it was interrupted before.
func (i *interrupts) keep(a *attempt) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, a)
	if a.interrupted {
		return errInterrupted
	}
	return nil
}

// finish ends the attempt, and returns errInterrupted instead of err if that is why it
// failed.
func (i *interrupts) finish(a *attempt, err error) error {
	a.cancel()
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.running, a)
	for _, party := range a.ends {
		delete(i.ending, party)
	}
	close(a.over)
	if err != nil && a.interrupted {
		return errInterrupted
	}
	return err
}

// interrupt interrupts all attempts for the party but one.
func (i *interrupts) interrupt(party string, but *attempt) {
	for a := range i.running {
		if a != but && slices.Contains(a.parties, party) {
			a.interrupted = true
			a.cancel()
			delete(i.running, a)
		}
	}
}

// Ends says that the transaction of ctx is going to end a party: an API key, a user or an
// organization, by its id in text form. It interrupts what this server is doing for the
// party, and lets nothing begin for it until the transaction is over. Call it before
// waiting for the party's locks. A dry run ends nobody, and interrupts nothing.
func (w *Writer) Ends(ctx context.Context, party string) {
	if ctx.Value(dryRunKey{}) != nil {
		return
	}
	own, i := ctx.Value(attemptKey{}).(*attempt), w.interrupts
	i.mu.Lock()
	defer i.mu.Unlock()
	i.interrupt(party, own)
	if i.ending[party] == nil {
		i.ending[party] = own.over
		own.ends = append(own.ends, party)
	}
}

// Ended interrupts what this server is doing for the parties that the changes have
// ended. It is for the changes of other servers.
func (w *Writer) Ended(rows []db.Change) {
	for i := range rows {
		if effects := ActionByName(rows[i].Action).Effects(); !effects.Credentials && !effects.Sessions {
			continue
		}
		w.interrupts.mu.Lock()
		w.interrupts.interrupt(rows[i].Subject, nil)
		w.interrupts.mu.Unlock()
	}
}
