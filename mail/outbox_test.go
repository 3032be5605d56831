package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

// deadline is how long a test waits for what has to happen, on a busy machine.
const deadline = 20 * time.Second

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(text)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// testOutbox is an outbox with what it works with.
type testOutbox struct {
	*Outbox
	t   *testing.T
	db  *db.DB
	log *logged
}

// newOutbox returns an outbox of a new database, which sends by the server.
func newOutbox(t *testing.T, office *postOffice) *testOutbox {
	t.Helper()
	ring, err := secret.ParseKeyring(secret.NewKey().Reveal())
	must(t, err)
	o := &testOutbox{t: t, db: dbtest.New(t), log: &logged{}}
	from, err := ParseFrom("Example <accounts@example.com>")
	must(t, err)
	o.Outbox = NewOutbox(o.db, Options{
		Keyring: ring, Templates: ownTemplates(t), From: from, Sender: office.sender(t, "smtp://", ""),
		Log: slog.New(slog.NewJSONHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return o
}

// another returns the outbox of another server on the same database.
func (o *testOutbox) another() *testOutbox {
	other := *o
	other.Outbox = NewOutbox(o.db, o.Options)
	return &other
}

// run runs the outbox. The function that is returned stops it, as the end of the test
// does, and waits for its end.
func (o *testOutbox) run() (stop func()) {
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); o.Run(ctx) }()
	stop = func() { cancel(); <-done }
	o.t.Cleanup(stop)
	return stop
}

// add adds a message to each address, all in one transaction, and wakes the outbox.
func (o *testOutbox) add(to ...string) {
	o.t.Helper()
	must(o.t, o.db.InTx(o.t.Context(), func(ctx context.Context, tx bun.IDB) error {
		for _, one := range to {
			if err := o.Add(ctx, tx, message(one)); err != nil {
				return err
			}
		}
		return nil
	}))
	o.Wake()
}

func message(to string) Message {
	return Message{Kind: SignInCode, To: to, Code: secret.New("27182818"), Lifetime: 10 * time.Minute, Branding: Branding{Name: "Example"}}
}

// row is a row of outbox, with its times in seconds from now.
type row struct {
	ID           string
	Sealed       []byte
	Tries        int
	Due, Expires float64
}

func (o *testOutbox) rows() []row {
	o.t.Helper()
	rows, err := db.Select[row](context.WithoutCancel(o.t.Context()), o.db,
		`select id, sealed, tries, extract(epoch from due_at - statement_timestamp())::float8 as due,
			extract(epoch from expires_at - statement_timestamp())::float8 as expires from outbox order by id`)
	must(o.t, err)
	return rows
}

// pass lets the time of the rows pass, and wakes the outbox.
func (o *testOutbox) pass(d time.Duration) {
	o.t.Helper()
	_, err := o.db.ExecContext(o.t.Context(), "update outbox set due_at = due_at - ? * interval '1 second', expires_at = expires_at - ? * interval '1 second'", d.Seconds(), d.Seconds())
	must(o.t, err)
	o.Wake()
}

// arrive waits for a mail.
func (o *postOffice) arrive(t *testing.T) delivered {
	t.Helper()
	select {
	case d := <-o.arrived:
		return d
	case <-time.After(deadline):
		t.Fatal("no mail arrives")
	}
	panic("unreachable")
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to this:", what)
		}
	}
}

func (o *testOutbox) empty() bool { return len(o.rows()) == 0 }

// A mail goes out once its transaction commits, once, and nothing of it can be read in the
// database or the log. A mail of a transaction that is rolled back never was.
func TestOutboxSends(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, nil)
	o := newOutbox(t, office)
	undone := errors.New("undone")
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
		must(t, o.Add(ctx, tx, message("eve@example.org")))
		o.Wake()
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	o.add("ada@example.org")
	rows := o.rows()
	if len(rows) != 1 || rows[0].Expires < 500 || rows[0].Expires > 600 {
		t.Fatalf("rows: %+v", rows)
	}
	stored := fmt.Sprintf("%s %s %q", rows[0].ID, rows[0].Sealed, rows[0].Sealed)
	o.run()
	mail := office.arrive(t)
	eventually(t, "the row is deleted", o.empty)
	if mail.to != "ada@example.org" || len(office.all()) != 1 || !strings.Contains(string(mail.raw), "<"+rows[0].ID+"@example.com>") {
		t.Errorf("it took %+v", office.all())
	}
	eventually(t, "one is counted", func() bool { return o.Stats() == Stats{Sent: 1, Waiting: o.Stats().Waiting} })
	for _, private := range []string{"ada@", "example.org", "27182818", "eve@"} {
		if strings.Contains(stored, private) || strings.Contains(o.log.String(), private) {
			t.Errorf("%s can be read in\n%q\n%s", private, stored, o.log)
		}
	}
}

// A message for nobody is stored as any other, and is never sent.
func TestOutboxForNobody(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, nil)
	o := newOutbox(t, office)
	m := message("")
	for _, wrong := range []Message{m, {Kind: m.Kind, Code: m.Code, To: "ada@example.org", ForNobody: true}} {
		if err := o.Add(t.Context(), o.db, wrong); err == nil {
			t.Errorf("a message to %q is taken, for nobody: %t", wrong.To, wrong.ForNobody)
		}
	}
	m.ForNobody = true
	must(t, o.Add(t.Context(), o.db, m))
	if rows := o.rows(); len(rows) != 1 || len(rows[0].Sealed) < 100 {
		t.Errorf("rows: %+v", rows)
	}
	o.run()
	eventually(t, "the row is deleted", o.empty)
	if len(office.all()) > 0 || o.Stats() != (Stats{Waiting: o.Stats().Waiting}) {
		t.Errorf("it took %+v, %+v", office.all(), o.Stats())
	}
}

// Several servers send each mail once.
func TestOutboxShared(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, nil)
	o := newOutbox(t, office)
	var to []string
	for i := range 60 {
		to = append(to, fmt.Sprintf("user%d@example.org", i))
	}
	all := []*testOutbox{o, o.another(), o.another()}
	for _, one := range all {
		one.run()
	}
	o.add(to...)
	for _, one := range all {
		one.Wake()
	}
	eventually(t, "all are sent", o.empty)
	seen := map[string]int{}
	for _, mail := range office.all() {
		seen[mail.to]++
	}
	for _, one := range to {
		if seen[one] != 1 {
			t.Errorf("%s has %d mails", one, seen[one])
		}
	}
}

// A committed mail is sent, if the server that committed it ends before it sends, or
// while it does: then with the same Message-ID.
func TestOutboxOutlivesServers(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	var once sync.Once
	office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) {
		p.onData = func([]byte) error {
			first := false
			once.Do(func() { first = true })
			if first {
				<-hangs
				return answering(451)("")
			}
			return nil
		}
	})
	t.Cleanup(func() { close(hangs) })
	o := newOutbox(t, office)
	o.add("ada@example.org") // and it ends before it sends
	rows := o.claim(t.Context(), workers)
	if len(rows) != 1 { // the second server, which is killed while it sends
		t.Fatal(rows)
	}
	if again := o.another().claim(t.Context(), workers); len(again) > 0 {
		t.Fatal("a mail that is being sent is claimed again")
	}
	if r := o.rows()[0]; r.Due < 30 || r.Due > claimTime.Seconds() {
		t.Errorf("another server takes over in %v s", r.Due)
	}
	o.pass(claimTime)
	late := rows[0]
	third := o.another()
	third.run() // which hangs, and hears of a failure while it stops
	eventually(t, "it is sent again", func() bool { rows := o.rows(); return len(rows) == 1 && rows[0].Tries == 2 })
	o.pass(claimTime)
	fourth := o.another()
	fourth.run()
	mail := office.arrive(t)
	eventually(t, "the row is deleted", o.empty)
	if !strings.Contains(string(mail.raw), "<"+late.ID+"@example.com>") {
		t.Errorf("another mail came: %s", mail.raw)
	}
}

// A server that comes back late changes nothing of what another one has claimed since.
func TestOutboxIgnoresLateServers(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) { p.onRecipient = answering(550) })
	o := newOutbox(t, office)
	o.add("ada@example.org")
	late := o.claim(t.Context(), workers)
	o.pass(claimTime)
	if again := o.another().claim(t.Context(), workers); len(again) != 1 || again[0].Tries != 2 {
		t.Fatal(again)
	}
	o.deliver(t.Context(), &late[0])
	if rows := o.rows(); len(rows) != 1 || rows[0].Due < 30 {
		t.Errorf("rows: %+v", rows)
	}
}

// A mail that fails is sent again after growing pauses, for a day or as long as it is of
// use, and is then given up.
func TestOutboxTriesAgain(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) { p.onRecipient = answering(450) })
	o := newOutbox(t, office)
	m := message("ada@example.org")
	m.Kind, m.Code, m.Lifetime = PasswordChanged, secret.Text{}, 0
	must(t, o.Add(t.Context(), o.db, m))
	o.run()
	tries, passed := 0, time.Duration(0)
	for !o.empty() {
		tries++
		eventually(t, "it is tried and put off, or given up", func() bool { return o.empty() || o.settled(tries) })
		rows := o.rows()
		if len(rows) == 0 {
			break
		}
		if tries == 1 && rows[0].Due > 60 {
			t.Errorf("the first pause is %v s", rows[0].Due)
		}
		pause := pauseAfter(tries)
		passed += pause
		o.pass(pause)
	}
	if passed < 23*time.Hour || passed > 25*time.Hour+longestPause || tries < 25 || tries > 40 {
		t.Errorf("it is given up after %v and %d tries", passed, tries)
	}
	if s := o.Stats(); s.GivenUp != 1 || s.Sent != 0 || s.Failed < 25 {
		t.Errorf("%+v", s)
	}
	if log := o.log.String(); strings.Contains(log, "ada") || strings.Contains(log, "canary") || !strings.Contains(log, `"cause":"the SMTP server answered 450 4.1.1"`) {
		t.Error(log)
	}
}

// settled reports whether the only row waits for its next attempt, after so many.
func (o *testOutbox) settled(tries int) bool {
	rows := o.rows()
	if len(rows) != 1 || rows[0].Tries != tries {
		return false
	}
	want := min(pauseAfter(tries).Seconds(), rows[0].Expires)
	return rows[0].Due <= want && rows[0].Due > want-deadline.Seconds() && (want < claimTime.Seconds() || rows[0].Due > claimTime.Seconds())
}

// A mail that a server refuses for good is given up at once, and so is a code that works
// no more.
func TestOutboxGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code int
		pass time.Duration
		want string
	}{
		"refused": {550, 0, "the SMTP server answered 550 5.1.1"},
		"expired": {0, 10 * time.Minute, "it was too late for it to be of use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) {
				if test.code > 0 {
					p.onRecipient = answering(test.code)
				}
			})
			o := newOutbox(t, office)
			o.add("ada@example.org")
			o.pass(test.pass)
			o.run()
			eventually(t, "it is given up", o.empty)
			log := o.log.String()
			if s := o.Stats(); s.GivenUp != 1 || len(office.all()) > 0 || !strings.Contains(log, test.want) || strings.Contains(log, "ada") || strings.Contains(log, "canary") {
				t.Errorf("%+v\n%s", s, log)
			}
		})
	}
}

// Mails for slow recipients keep no others waiting.
func TestOutboxSlowRecipient(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	waits := make(chan struct{}, workers)
	office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) {
		p.onRecipient = func(to string) error {
			if strings.HasPrefix(to, "slow") {
				waits <- struct{}{}
				<-slow
			}
			return nil
		}
	})
	o := newOutbox(t, office)
	o.run()
	o.add("slow@example.org")
	<-waits
	var to []string
	for i := range 3 * workers {
		to = append(to, fmt.Sprintf("user%d@example.org", i))
	}
	o.add(to...)
	for range to {
		office.arrive(t)
	}
	if rows := o.rows(); len(rows) == 0 || rows[len(rows)-1].Tries > 1 {
		t.Errorf("rows: %+v", rows)
	}
	close(slow)
	if mail := office.arrive(t); mail.to != "slow@example.org" {
		t.Error(mail.to)
	}
	eventually(t, "all are sent", o.empty)
}

// A server that is told to stop finishes what it is sending; what takes too long is left
// to others, at once.
func TestOutboxStops(t *testing.T) {
	t.Parallel()
	for name, finishes := range map[string]bool{"soon": true, "never": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, finish := make(chan struct{}), make(chan struct{})
			office := openPostOffice(t, func(p *postOffice, _ *smtp.Server) {
				p.onData = func([]byte) error { close(begun); <-finish; return nil }
			})
			o := newOutbox(t, office)
			stop := o.run()
			o.add("ada@example.org")
			<-begun
			if finishes {
				time.AfterFunc(50*time.Millisecond, func() { close(finish) })
			} else {
				t.Cleanup(func() { close(finish) })
			}
			began := time.Now()
			stop()
			rows := o.rows()
			if took := time.Since(began); finishes != (len(rows) == 0) || took > deadline {
				t.Errorf("after %v, rows: %+v", took, rows)
			}
			if !finishes && rows[0].Due > 0 {
				t.Errorf("others wait for %v s", rows[0].Due)
			}
		})
	}
}

// What cannot be opened, or was exchanged for another mail, is not sent.
func TestOutboxKeepsWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, nil)
	o := newOutbox(t, office)
	o.add("ada@example.org", "eve@example.org")
	rows := o.rows()
	_, err := o.db.ExecContext(t.Context(), "update outbox set sealed = ? where id = ?", rows[0].Sealed, rows[1].ID)
	must(t, err)
	ring, err := secret.ParseKeyring(secret.NewKey().Reveal())
	must(t, err)
	stranger := o.another()
	stranger.Options.Keyring = ring
	stop := stranger.run()
	eventually(t, "both are tried", func() bool { return stranger.Stats().Failed == 2 })
	stop()
	o.pass(firstPause)
	o.run()
	office.arrive(t)
	eventually(t, "one is left", func() bool {
		return len(o.rows()) == 1 && strings.Contains(o.log.String(), "it is not the mail that was put there")
	})
	if left := o.rows(); left[0].ID != rows[1].ID || len(office.all()) != 1 {
		t.Errorf("left is %+v", left)
	}
}

// Without a way to send mails, none are kept, and the ones from before go when their time is over.
func TestOutboxWithoutSender(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t, nil)
	o := newOutbox(t, office)
	o.add("ada@example.org")
	none := o.another()
	none.Options.Sender = nil
	none.add("eve@example.org")
	none.run()
	if o.Configured() == none.Configured() || len(o.rows()) != 1 || o.rows()[0].Tries != 0 {
		t.Errorf("rows: %+v", o.rows())
	}
	none.pass(10 * time.Minute)
	eventually(t, "it is given up", o.empty)
}
