package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roster/bench/hostile"
)

// asAttackers is the environment variable with which this test binary runs as hostile
// clients of the server at that address.
const asAttackers = "TEST_AS_ATTACKERS"

// attackers are hostile clients in a process of their own.
type attackers struct {
	Connections int
	// Key is the API key that they send; empty if they send none.
	Key string
	// Requests are what they send; empty for all hostile requests.
	Requests []hostile.Request
	// Everywhere makes each request one of another client, behind a proxy that the server
	// trusts.
	Everywhere bool
}

// attack sends hostile requests as fast as they are answered, until standard input ends,
// and then prints how often each status was the answer. Real attackers bring their own
// processors. Here they get one, at a low priority.
func attack(url string) {
	runtime.GOMAXPROCS(1)
	var a attackers
	if err := errors.Join(syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19), json.NewDecoder(os.Stdin).Decode(&a)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := context.WithCancel(context.Background())
	statuses := &tally{}
	var all sync.WaitGroup
	if len(a.Requests) == 0 {
		a.Requests = hostile.Requests()
	}
	for range a.Connections {
		all.Go(func() { a.harass(ctx, url, statuses) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	all.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(statuses.counts())
}

// harass is one hostile client. Now and then it disconnects in the middle of a request,
// or before the answer.
func (a *attackers) harass(ctx context.Context, url string, statuses *tally) {
	own := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: waitTimeout}
	defer own.CloseIdleConnections()
	for ctx.Err() == nil {
		body := a.Requests[rand.IntN(len(a.Requests))].Body
		if rand.IntN(100) == 0 {
			leave(ctx, url, body)
			continue
		}
		header := http.Header{}
		if a.Everywhere {
			header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{198, byte(rand.Uint32()), byte(rand.Uint32()), byte(rand.Uint32())}).String())
		}
		statuses.add(post(ctx, own, url, a.Key, body, header))
	}
}

// leave begins a request and disconnects.
func leave(ctx context.Context, url string, body []byte) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	sent := body[:rand.IntN(len(body)+1)]
	_, _ = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: roster\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), sent)
}

// post sends a body, with more headers, and returns the status; 0 if there was no answer.
func post(ctx context.Context, client *http.Client, url, key string, body []byte, header http.Header) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0
	}
	return response.StatusCode
}

// tally counts answers by their status.
type tally struct{ byStatus [600]atomic.Int64 }

func (t *tally) add(status int) { t.byStatus[status].Add(1) }

func (t *tally) counts() map[int]int64 {
	all := map[int]int64{}
	for status := range t.byStatus {
		if n := t.byStatus[status].Load(); n > 0 {
			all[status] = n
		}
	}
	return all
}

// attacked starts attackers. stop ends them and returns how often each status was the
// answer.
func (r *process) attacked(a attackers) (stop func() map[int]int64) {
	r.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(r.t.Context()), r.binary)
	cmd.Env = append(os.Environ(), asAttackers+"="+r.url)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	must(r.t, err)
	var output bytes.Buffer
	cmd.Stdout = &output
	must(r.t, cmd.Start())
	must(r.t, json.NewEncoder(input).Encode(a))
	end := sync.OnceFunc(func() { _ = input.Close(); _ = cmd.Wait() })
	r.t.Cleanup(end)
	return func() (statuses map[int]int64) {
		r.t.Helper()
		end()
		must(r.t, json.Unmarshal(output.Bytes(), &statuses))
		return statuses
	}
}

// reader returns a new API key that may read everything.
func (r *process) reader() string {
	r.t.Helper()
	data, err := r.ask(r.t.Context(), `{ role(by: {key: "roster-viewer"}) { permissions { key } } }`, nil)
	must(r.t, err)
	data, err = r.ask(r.t.Context(), `mutation($p: [PermissionRef!]!) { createApiKey(input: {name: "reader", permissions: $p}) { secret } }`,
		object{"p": data["role"].(object)["permissions"]})
	must(r.t, err)
	return data["createApiKey"].(object)["secret"].(string)
}

// writer returns the secret and the id of a new API key that may grant a role to the
// members of an organization, and the grants that keep the server busiest.
func (r *process) writer() (key, id string, grants hostile.Request) {
	r.t.Helper()
	data, err := r.ask(r.t.Context(), `{ role(by: {key: "viewer"}) { permissions { key } }
		organization(by: {code: "acme"}) { members(first: 55) { nodes { user { id } } } } }`, nil)
	must(r.t, err)
	var users []string
	for _, member := range data["organization"].(object)["members"].(object)["nodes"].([]any) {
		users = append(users, member.(object)["user"].(object)["id"].(string))
	}
	permissions := append(data["role"].(object)["permissions"].([]any), object{"key": "roster:members:write"})
	data, err = r.ask(r.t.Context(), `mutation($p: [PermissionRef!]!) { createApiKey(input: {name: "writer", organization: {code: "acme"}, permissions: $p}) { secret apiKey { id } } }`,
		object{"p": permissions})
	must(r.t, err)
	created := data["createApiKey"].(object)
	return created["secret"].(string), created["apiKey"].(object)["id"].(string), hostile.Grants("acme", "viewer", users)
}

// honest are the most frequent requests of honest clients: reading one user, and checking
// a permission.
var honest = [][]byte{
	[]byte(`{"query":"query($by:UserRef!){user(by:$by){name memberships{nodes{organization{name}roles{key}}}}}","variables":{"by":{"email":"ada.lovelace@acme.example"}}}`),
	[]byte(`{"query":"query($u:UserRef!){can(user:$u,organization:{code:\"acme\"},permission:\"billing:approve\")}","variables":{"u":{"email":"ada.lovelace@acme.example"}}}`),
}

// latencies sends a hundred requests a second, without waiting for answers, and returns
// how long each answer took, in ascending order.
func (r *process) latencies(key string, duration time.Duration) []time.Duration {
	r.t.Helper()
	const every = 10 * time.Millisecond
	own := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: waitTimeout}
	defer own.CloseIdleConnections()
	took := make([]time.Duration, int(duration/every))
	statuses := &tally{}
	var all sync.WaitGroup
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := range took {
		due := <-ticker.C
		all.Go(func() {
			statuses.add(post(r.t.Context(), own, r.url, key, honest[i%len(honest)], nil))
			took[i] = time.Since(due)
		})
	}
	all.Wait()
	if counts := statuses.counts(); counts[200] != int64(len(took)) {
		r.t.Errorf("honest clients were answered %v", counts)
	}
	slices.Sort(took)
	return took
}

// BenchmarkHonestClient measures how long an honest client waits for its answers: alone,
// and while hostile clients send the worst requests, without a key, with one that may
// read everything, by signing in with wrong passwords from everywhere, and with a key that
// may write in one organization. It measures how long
// it takes to revoke the last one.
func BenchmarkHonestClient(b *testing.B) {
	r := setup(b).start("-trusted-proxies=127.0.0.0/8,::1")
	key, theirs := r.reader(), r.reader()
	r.latencies(key, attackTime/5)
	b.Run("without a key", func(b *testing.B) { r.attack(b, key, attackers{Connections: 32}) })
	b.Run("with a key", func(b *testing.B) { r.attack(b, key, attackers{Connections: 32, Key: theirs}) })
	b.Run("signing in", func(b *testing.B) {
		r.attack(b, key, attackers{Connections: 32, Everywhere: true, Requests: signIns()})
	})
	b.Run("writing", func(b *testing.B) {
		writers, id, grants := r.writer()
		r.attack(b, key, attackers{Connections: 32, Key: writers, Requests: []hostile.Request{grants}}, func() {
			began := time.Now()
			_, err := r.ask(b.Context(), `mutation($id: ID!) { revokeApiKey(input: {apiKey: $id}) { apiKey { id } } }`, object{"id": id})
			took := time.Since(began)
			if b.ReportMetric(float64(took.Milliseconds()), "ms-to-revoke"); err != nil || took > time.Second {
				b.Errorf("the key was not revoked after %v: %v", took, err)
			}
		})
	})
}

// signIns are sign-ins by password to many accounts, most of which do not exist.
func signIns() []hostile.Request {
	requests := make([]hostile.Request, 1000)
	for i := range requests {
		requests[i] = hostile.Request{Name: "sign-in", Body: fmt.Appendf(nil, `{"query":"mutation{signIn(input:{email:\"%d@acme.example\",password:\"correct horse battery staple\"}){secret}}"}`, i)}
	}
	return append(requests, hostile.Request{Name: "sign-in", Body: []byte(`{"query":"mutation{signIn(input:{email:\"ada.lovelace@acme.example\",password:\"correct horse battery staple\"}){secret}}"}`)})
}

// attackTime is how long latencies are measured.
const attackTime = 10 * time.Second

// attack measures latencies while nobody attacks and then while the attackers do, and
// calls at the end of the attack.
func (r *process) attack(b *testing.B, key string, a attackers, atEnd ...func()) {
	p50 := func(took []time.Duration) time.Duration { return took[len(took)/2] }
	p99 := func(took []time.Duration) time.Duration { return took[len(took)*99/100] }
	for b.Loop() {
		quiet := r.latencies(key, attackTime)
		stop := r.attacked(a)
		time.Sleep(attackTime / 5) // until the attackers have spent their first budget
		attacked := r.latencies(key, attackTime)
		for _, end := range atEnd {
			end()
		}
		b.ReportMetric(float64(p99(attacked))/float64(p99(quiet)), "times-p99")
		b.Logf("p50 %v, attacked %v; p99 %v, attacked %v; hostile answers %v", p50(quiet), p50(attacked), p99(quiet), p99(attacked), stop())
	}
}
