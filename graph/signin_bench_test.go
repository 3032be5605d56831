package graph_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"roster/graph/graphtest"
	"roster/secret"
)

// abreast calls fn as often as there are people, on all cores, and returns how long that took.
func abreast(people int, fn func(i int)) time.Duration {
	var next sync.Mutex
	var all sync.WaitGroup
	i, began := 0, time.Now()
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				next.Lock()
				mine := i
				i++
				next.Unlock()
				if mine >= people {
					return
				}
				fn(mine)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// BenchmarkSignIn measures how many people can sign in by password, from the request to the
// answer, relative to how many of their passwords can be hashed, which bounds it. Both
// take turns.
func BenchmarkSignIn(b *testing.B) {
	const people = 32
	s := graphtest.New(b)
	hash := ""
	for i := range people {
		email := fmt.Sprintf("%d@example.com", i)
		s.Ask(b, `mutation($e: String!) { createUser(input: {email: $e, organizations: [{code: "default"}]}) { user { id } } }`, object{"e": email})
		s.SignedIn(b, email, "default")
	}
	hash = graphtest.Rows[string](b, s, "select hash from passwords limit 1")[0]
	var hashing, signingIn time.Duration
	for b.Loop() {
		hashing += abreast(people, func(int) {
			if right, _, err := s.SignIn.Passwords.Verify(b.Context(), hash, secret.New(password)); err != nil || !right {
				b.Error(err)
			}
		})
		signingIn += abreast(people, func(i int) {
			if a := signIn(b, s, object{"email": fmt.Sprintf("%d@example.com", i), "password": password}); len(a.Errors) > 0 {
				b.Errorf("%s", a.Body)
			}
		})
	}
	b.ReportMetric(float64(people*b.N)/signingIn.Seconds(), "sign-ins/s")
	b.ReportMetric(float64(hashing)/float64(signingIn), "of-hashing")
}

// BenchmarkAuthenticate measures how long it takes to find out who asks, by each kind of
// credential, in turns.
func BenchmarkAuthenticate(b *testing.B) {
	const times = 20_000
	s := graphtest.New(b)
	s.Ask(b, `mutation { createUser(input: {email: "ada@example.com", organizations: [{code: "default"}]}) { user { id } } }`)
	session := s.SignedIn(b, "ada@example.com", "default")
	token := s.As(b, session, `mutation($a: String!) { accessToken(input: {audience: $a}) { accessToken { token } } }`, object{"a": graphtest.Issuer}).Text("accessToken.accessToken.token")
	user := s.Ask(b, `mutation { createApiKey(input: {name: "hers", user: {email: "ada@example.com"}, organization: {code: "default"}, permissions: []}) { secret } }`).Text("createApiKey.secret")
	credentials := map[string]string{"key": s.Holding(b, "default", "roster:users:read"), "key-of-a-user": user, "session": session, "token": token}
	took := map[string]time.Duration{}
	for b.Loop() {
		for kind, credential := range credentials {
			began := time.Now()
			for range times {
				if _, err := s.SignIn.Authenticate(b.Context(), secret.New(credential), ""); err != nil {
					b.Fatal(err)
				}
			}
			took[kind] += time.Since(began)
		}
	}
	for kind, all := range took {
		b.ReportMetric(float64(all.Nanoseconds())/float64(times*b.N), "ns/"+kind)
	}
}
