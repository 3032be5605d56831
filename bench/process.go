package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a server in a process of its own, so that each server has its own
// garbage collector.
type process struct {
	name, addr string
	command    *exec.Cmd
	stdin      io.Closer
}

// startServer starts this program again, as the named server.
func startServer(ctx context.Context, name, dsn string, flags ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, append(append([]string{"-serve", name}, flags...), dsn)...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, command: command, stdin: stdin}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the server %s did not start", name)
	}
	p.addr = strings.TrimSpace(addr)
	return p, nil
}

// stop ends the server, and waits for its end.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.command.Wait()
}

// stats returns what the server has used since it began.
func (p *process) stats(ctx context.Context) (s stats, err error) {
	body, err := p.send(ctx, http.MethodGet, "/stats", nil)
	if err != nil {
		return s, err
	}
	err = json.Unmarshal(body, &s)
	return s, err
}

// ask sends an operation to Roster, and decodes its data into into.
func (p *process) ask(ctx context.Context, document string, variables, into any) error {
	body, err := p.send(ctx, http.MethodPost, "/graphql", operation(document, variables))
	if err != nil {
		return err
	}
	answer := struct {
		Data   any
		Errors json.RawMessage
	}{Data: into}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Errors != nil {
		return errors.New(string(answer.Errors))
	}
	return nil
}

// operation returns the body of a GraphQL request.
func operation(document string, variables any) []byte {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		panic(err) // impossible: only texts and maps of texts
	}
	return body
}

func (p *process) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+apiKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", p.name, response.Status, answer)
	}
	return answer, err
}

// path returns the path at which the plain handler answers a case.
func (q query) path(v variables) string {
	return "/" + q.name + "?" + url.Values{"v": v.statement}.Encode()
}

// request returns the bytes of the HTTP request that asks this server about a case.
func (p *process) request(q query, v variables) []byte {
	path := "/graphql"
	switch {
	case p.name == "plain" && q.statement == "":
		path = "/" + q.name
	case p.name == "plain":
		return []byte("GET " + q.path(v) + " HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n")
	}
	body := operation(q.document, v.document)
	return append([]byte("POST "+path+" HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nAuthorization: Bearer "+apiKey+
		"\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)
}

// postgresCPU returns the CPU time of the children of a postmaster so far. It needs
// /proc; without it, it returns 0.
func postgresCPU(postmaster int) (used time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on all common Linux
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		text, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(text), ") ") // the name may contain spaces
		fields := strings.Fields(after)                // begins with the third field of proc(5)
		if len(fields) > 12 && fields[1] == strconv.Itoa(postmaster) {
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			used += time.Duration(user+system) * tick
		}
	}
	return used
}
