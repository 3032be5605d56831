package credential

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"roster/problem"
	"roster/secret"
)

// A password matches its own hash, in whichever form of Unicode it is typed, and no other
// one. Without a hash nothing matches, and an overlong password matches nothing.
func TestPasswords(t *testing.T) {
	t.Parallel()
	p := NewPasswords(2, 64)
	const composed, decomposed = "schöner langer tag", "scho\u0308ner langer tag"
	hash, err := p.Hash(t.Context(), secret.New(composed))
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=47104,t=1,p=1$") || len(hash) > maxHashLength {
		t.Fatalf("%s, %v", hash, err)
	}
	other, err := p.Hash(t.Context(), secret.New(composed))
	if err != nil || other == hash {
		t.Errorf("the same salt twice: %s, %v", other, err)
	}
	// By the reference implementation, for "password" and the salt "somesalt".
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	// A hash of today's strength but for its memory.
	weaker := argon2Hash{kind: "argon2id", memory: argonMemory / 2, time: 2, threads: 1, salt: make([]byte, saltSize), tag: make([]byte, tagSize)}
	weaker.derive("password")
	for _, c := range []struct {
		name, hash, password string
		matches, outdated    bool
	}{
		{"its own", hash, composed, true, false},
		{"decomposed", hash, decomposed, true, false},
		{"another case", hash, strings.ToUpper(composed), false, false},
		{"cut", hash, composed[:len(composed)-1], false, false},
		{"empty", hash, "", false, false},
		{"overlong", hash, strings.Repeat("a", maxPasswordBytes+1), false, false},
		{"made elsewhere", reference, "password", true, true},
		{"made elsewhere, another password", reference, "passw0rd", false, true},
		{"with less memory", weaker.String(), "password", true, true},
		{"no account", "", composed, false, false},
		{"no account, no password", "", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			matches, outdated, err := p.Verify(t.Context(), c.hash, secret.New(c.password))
			if err != nil || matches != c.matches || outdated != c.outdated {
				t.Errorf("matches %t, outdated %t, %v", matches, outdated, err)
			}
		})
	}
	if _, err := p.Hash(t.Context(), secret.New(strings.Repeat("a", maxPasswordBytes+1))); !problem.Is(err, problem.Invalid) {
		t.Error("an overlong password is hashed:", err)
	}
}

// A stored hash that is malformed, or asks for too much, is refused before any work.
func TestHashesAreBounded(t *testing.T) {
	t.Parallel()
	const salt, tag = "c29tZXNhbHRzb21lc2FsdA", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	const good = "$argon2id$v=19$m=47104,t=1,p=1$" + salt + "$" + tag
	if _, err := parseHash(good); err != nil {
		t.Fatal(err)
	}
	p := NewPasswords(1, 1)
	for name, replace := range map[string][2]string{
		"no text":            {good, "x"},
		"another kind":       {"argon2id", "argon2d"},
		"an older version":   {"v=19", "v=16"},
		"no version":         {"v=19$", ""},
		"all memory":         {"m=47104", "m=4294967295"},
		"too much memory":    {"m=47104", "m=262145"},
		"too little memory":  {"m=47104", "m=7"},
		"overflowing memory": {"m=47104", "m=4294967296"},
		"no time":            {"t=1", "t=0"},
		"too much time":      {"t=1", "t=4294967295"},
		"too much work":      {"t=1", "t=23"},
		"no threads":         {"p=1", "p=0"},
		"too many threads":   {"p=1", "p=17"},
		"a sign":             {"t=1", "t=+1"},
		"a zero before":      {"t=1", "t=01"},
		"hexadecimal":        {"t=1", "t=0x1"},
		"a space":            {"m=47104,", "m=47104, "},
		"more parameters":    {"p=1", "p=1,x=1"},
		"another order":      {"m=47104,t=1", "t=1,m=47104"},
		"a short salt":       {salt, "c2FsdA"},
		"a long salt":        {salt, strings.Repeat("c2Fs", 43)},
		"no salt":            {salt, ""},
		"a short tag":        {tag, "CTFhFdXPJO1aFaMaO6Mm"},
		"a long tag":         {tag, strings.Repeat("c2Fs", 171)},
		"another last bit":   {tag, tag[:len(tag)-1] + "d"},
		"more behind it":     {tag, tag + "$"},
		"a line break":       {tag, tag + "\n"},
		"very long":          {tag, strings.Repeat("A", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			matches, _, err := p.Verify(t.Context(), strings.Replace(good, replace[0], replace[1], 1), secret.New("password"))
			if err == nil || matches || len(problem.All(err)) > 0 || time.Since(began) > 10*time.Second {
				t.Errorf("%t, %v after %v", matches, err, time.Since(began))
			}
		})
	}
}

// No more hashes are made at a time than there are cores, and no more than the bound wait,
// for no longer than the caller does.
func TestPasswordsInTurn(t *testing.T) {
	t.Parallel()
	p := NewPasswords(2, 3)
	var running, most atomic.Int64
	release := make(chan struct{})
	var work sync.WaitGroup
	visit := func() error {
		return p.inTurn(t.Context(), func() {
			n := running.Add(1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			<-release
			running.Add(-1)
		})
	}
	var refused atomic.Int64
	for range 6 {
		work.Go(func() {
			if err := visit(); problem.Is(err, problem.Unavailable) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for refused.Load() == 0 { // two run and three wait, so that one is refused
		runtime.Gosched()
	}
	_, _, err := p.Verify(t.Context(), "", secret.New("password"))
	if !problem.Is(err, problem.Unavailable) {
		t.Error("beyond the bound:", err)
	}
	close(release)
	work.Wait()
	if most.Load() != 2 || refused.Load() != 1 {
		t.Errorf("%d at a time, %d refused", most.Load(), refused.Load())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	one := NewPasswords(1, 1)
	leave, err := one.queue.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if _, err := one.Hash(gone, secret.New("password")); !errors.Is(err, context.Canceled) {
		t.Error("after the caller has gone:", err)
	}
}

// A chosen password is long enough, and not one that many people use, however it is written.
func TestCheckPassword(t *testing.T) {
	t.Parallel()
	words := []string{"ada.lovelace@example.com", "Analytical Engines Ltd", ""}
	for _, c := range []struct{ name, password, want string }{
		{"long", "tall trees in winter", ""},
		{"of one alphabet", "zqkxjvbwpfmyhgd", ""},
		{"of 16 letters of Hangul, decomposed", strings.Repeat("\u1112\u1161\u11ab\u1100\u1173\u11af\u1109\u1162\u1106\u1175", 4), ""},
		{"longest", strings.Repeat("tall trees ", 23) + "at", ""},
		{"of 256 letters of Hangul, decomposed", strings.Repeat("\u1112\u1161\u11ab\u1100\u1173\u11af\u1109\u1162\u1106\u1175", 64), ""},
		{"an address and more", "ada.lovelace@example.com likes cake", ""},
		{"a name within", "engines analytical of my aunt", ""},
		{"short", "tall trees", "at least 15"},
		{"short, decomposed", strings.Repeat("o\u0308", 14), "at least 15"},
		{"empty", "", "at least 15"},
		{"too long", strings.Repeat("tall trees ", 23) + "high", "at most 256"},
		{"very long", strings.Repeat("\ufdfa", 1<<20), "at most 256"},
		{"no text", strings.Repeat("\xff\xfe", 10), "UTF-8"},
		{"one letter", strings.Repeat("a", 20), "Many people"},
		{"three letters", strings.Repeat("aB1", 7), "Many people"},
		{"a common one", "1234567890Qwerty", "Many people"},
		{"a common one, repeated", "PasswordPassword", "Many people"},
		{"a common one, repeated and cut", "passwordpasswordpass", "Many people"},
		{"digits", "123456789012345", "Many people"},
		{"full-width", "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ", "Many people"},
		{"hidden characters", "pass\u200bwordpass\u200bword", "Many people"},
		{"the address", "Ada.Lovelace@Example.com", "address"},
		{"the address, decorated", "Ada.Lovelace@Example.com!!1", "address"},
		{"the address before its @", "ada.lovelace1234567", "address"},
		{"the business", "ANALYTICAL engines ltd 2026", "address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := CheckPassword(secret.New(c.password), 15, words...)
			if (err == nil) != (c.want == "") || err != nil && (!problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Each password of the list is refused, also in capital letters.
func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	n := 0
	for password := range strings.Lines(commonFile) {
		n++
		if err := CheckPassword(secret.New(strings.ToUpper(strings.TrimSuffix(password, "\n"))), 8); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: %v", password, err)
		}
	}
	if n < 10_000 {
		t.Errorf("there are %d", n)
	}
}

// TestRepeated compares repeated with the obvious way to find the same.
func TestRepeated(t *testing.T) {
	t.Parallel()
	for range 2000 {
		text := make([]byte, rand.IntN(12))
		for i := range text {
			text[i] = "ab"[rand.IntN(2)]
		}
		want := string(text)
		for n := 1; n < len(text); n++ {
			if strings.HasPrefix(strings.Repeat(string(text[:n]), len(text)), string(text)) {
				want = string(text[:n])
				break
			}
		}
		if got := repeated(string(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// What an account that does not exist costs is what a wrong password costs.
func BenchmarkVerify(b *testing.B) {
	p := NewPasswords(runtime.GOMAXPROCS(0), 1<<20)
	hash, err := p.Hash(b.Context(), secret.New("tall trees in winter"))
	if err != nil {
		b.Fatal(err)
	}
	salt := []byte("somesaltsomesalt")
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"raw", func() {
			argon2.IDKey([]byte("short trees in winter"), salt, argonTime, argonMemory, argonThreads, tagSize)
		}},
		{"wrong", func() { _, _, _ = p.Verify(b.Context(), hash, secret.New("short trees in winter")) }},
		{"no account", func() { _, _, _ = p.Verify(b.Context(), "", secret.New("short trees in winter")) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.run()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hashes/s")
		})
	}
}
