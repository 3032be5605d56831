package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/problem"
	"roster/secret"
)

// request returns a request of the client with the credential; asked is its text.
func request(t *testing.T, credential, key, asked string) *Request {
	t.Helper()
	r, err := NewRequest(secret.New(credential), secret.New(key), sha256.Sum256([]byte(asked)))
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

// answer answers the request in a transaction of its own: with the text, unless it
// was answered before.
func answer(t *testing.T, d *db.DB, r *Request, text string) (first Answer, err error) {
	t.Helper()
	err = d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error {
		first, err = First(ctx, d, r, func() ([]byte, bool, error) { return []byte(text), text != "", nil })
		return err
	})
	return first, err
}

func wantAnswer(t *testing.T, d *db.DB, r *Request, text, want string) {
	t.Helper()
	first, err := answer(t, d, r, text)
	if err != nil || string(first.Text) != want || (first.Kept != 0) != (text != want) {
		t.Errorf("%q of %d, %v; not %q", first.Text, first.Kept, err, want)
	}
}

// A client gets the first answer under its key, and no other client gets it. A request
// that failed or was rolled back has no answer.
func TestFirst(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	r := request(t, "rk_a", "key", "asked")
	wrong := errors.New("wrong")
	err := d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error {
		_, err := First(ctx, d, r, func() ([]byte, bool, error) { return nil, true, wrong })
		return err
	})
	if !errors.Is(err, wrong) {
		t.Errorf("%v", err)
	}
	err = d.InTx(t.Context(), func(ctx context.Context, _ bun.IDB) error {
		_, err := First(ctx, d, r, func() ([]byte, bool, error) { return []byte("undone"), true, nil })
		return errors.Join(err, wrong)
	})
	if !errors.Is(err, wrong) {
		t.Errorf("%v", err)
	}
	wantAnswer(t, d, r, "first", "first")
	wantAnswer(t, d, r, "second", "first")
	wantAnswer(t, d, request(t, "rk_a", "key", "asked"), "second", "first")
	wantAnswer(t, d, request(t, "rk_b", "key", "asked"), "of another", "of another")
	wantAnswer(t, d, request(t, "rk_a", "other", "asked"), "under another", "under another")

	other := request(t, "rk_a", "key", "asked for more")
	if first, err := answer(t, d, other, "more"); !errors.Is(err, ErrOtherRequest) || first.Text != nil {
		t.Errorf("another request under the key: %q, %v", first.Text, err)
	}
	large := request(t, "rk_a", "large", "asked")
	if _, err := answer(t, d, large, strings.Repeat("a", MaxAnswer+1)); !problem.Is(err, problem.Limited) {
		t.Errorf("a large answer: %v", err)
	}
	most := strings.Repeat("a", MaxAnswer)
	wantAnswer(t, d, large, most, most)

	sealed, err := db.Select[[]byte](t.Context(), d, "select sealed from kept_answers")
	if err != nil || len(sealed) != 4 {
		t.Errorf("%d answers are on record, %v", len(sealed), err)
	}
	for _, text := range sealed {
		if bytes.Contains(text, []byte("first")) || bytes.Contains(text, r.asked[:]) {
			t.Error("an answer can be read without the key")
		}
	}
}

// What changed nothing keeps nothing, and runs again, also under a key whose
// answer was too old.
func TestNothingIsKeptOfWhatChangedNothing(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	r := request(t, "rk_a", "key", "asked")
	wantAnswer(t, d, r, "", "")
	if n := *must(db.SelectOne[int](t.Context(), d, "select count(*)::int from kept_answers"))(t); n != 0 {
		t.Errorf("%d answers are on record", n)
	}
	wantAnswer(t, d, request(t, "rk_a", "key", "something else"), "first", "first")
}

// A credential has room for so many bytes within 24 hours, whatever other
// credentials have. A request that is refused for lack of it leaves nothing behind.
func TestRoomOfACredential(t *testing.T) { // not parallel: it changes the room
	defer func(before int) { maxKept = before }(maxKept)
	maxKept = 2 << 20
	d := dbtest.New(t)
	text := strings.Repeat("a", MaxAnswer/2)
	keys := []string{"1", "2", "3"}
	for _, key := range keys {
		wantAnswer(t, d, request(t, "rk_a", key, ""), text, text)
	}
	if _, err := answer(t, d, request(t, "rk_a", "4", ""), text); !problem.Is(err, problem.Limited) {
		t.Errorf("beyond the room: %v", err)
	}
	wantAnswer(t, d, request(t, "rk_a", "4", ""), "small", "small")
	wantAnswer(t, d, request(t, "rk_b", "4", ""), text, text)
	wantAnswer(t, d, request(t, "rk_a", "1", ""), "again", text)
	must(d.NewRaw("update kept_answers set at = at - interval '25 hours'").Exec(t.Context()))(t)
	wantAnswer(t, d, request(t, "rk_a", "5", ""), text, text)
}

func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// A key is a header that can be sent.
func TestNewRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, key string
		ok        bool
	}{
		{name: "uuid", key: "8e03978e-40d5-43dd-bc93-6894a57f9324", ok: true},
		{name: "longest", key: strings.Repeat("~", maxKey), ok: true},
		{name: "empty", key: "", ok: false},
		{name: "too long", key: strings.Repeat("~", maxKey+1), ok: false},
		{name: "space", key: "a b", ok: false},
		{name: "control character", key: "a\x7f", ok: false},
		{name: "no ASCII", key: "ä", ok: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewRequest(secret.New("rk_a"), secret.New(c.key), [sha256.Size]byte{})
			if c.ok && err != nil || !c.ok && !problem.Is(err, problem.Invalid) {
				t.Error(err)
			}
		})
	}
}

// Sweep deletes answers that are too old, and no others. An answer that is too old does
// not count even before.
func TestSweep(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	age := func() {
		t.Helper()
		if _, err := d.NewRaw("update kept_answers set at = at - interval '25 hours'").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	forgotten, old, young := request(t, "rk_a", "forgotten", ""), request(t, "rk_a", "old", ""), request(t, "rk_a", "young", "")
	wantAnswer(t, d, forgotten, "first", "first")
	wantAnswer(t, d, old, "first", "first")
	age()
	wantAnswer(t, d, forgotten, "second", "second")
	wantAnswer(t, d, young, "first", "first")
	for range 2 {
		if err := forget(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		left, err := db.SelectOne[int](t.Context(), d, "select count(*)::int from kept_answers")
		if err != nil || *left != 2 {
			t.Errorf("%d answers are left, %v", *left, err)
		}
	}
	wantAnswer(t, d, forgotten, "third", "second")
	wantAnswer(t, d, young, "second", "first")
}
