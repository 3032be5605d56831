package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"roster/secret"
)

// server is the server that commands talk to.
type server struct {
	address, dataDir string
	key              secret.Text
	http             *http.Client
}

type object = map[string]any

// answer is an answer of GraphQL.
type answer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code, Field string }
	}
}

// maxAnswer is the most bytes of an answer that are read.
const maxAnswer = 16 << 20

// ask sends an operation, and puts the data of its answer into data.
func (s *server) ask(ctx context.Context, query string, variables object, data any) error {
	body, err := json.Marshal(object{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	return s.send(ctx, "application/json", bytes.NewReader(body), data)
}

// send sends the body of a request, and puts the data of its answer into data. The error
// quotes what the server says.
func (s *server) send(ctx context.Context, contentType string, body io.Reader, data any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/graphql-response+json, application/json")
	r.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	response, err := s.http.Do(r)
	if dialing, ok := errors.AsType[*net.OpError](err); ok && dialing.Op == "dial" {
		return fmt.Errorf("no server is found at %s: %w; start Roster there, or say by -url where it is", s.address, dialing.Err)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || a.Data == nil && a.Errors == nil {
		return fmt.Errorf("%s answers %s, which is no answer of Roster's: is it the address of its API?", s.address, response.Status)
	}
	if len(a.Errors) > 0 {
		return a.refusal()
	}
	return json.Unmarshal(a.Data, data)
}

// refusal is what the server has refused, and why.
type refusal struct {
	text  string
	codes []string
}

// Error returns what the server says.
func (r *refusal) Error() string { return r.text }

func (a *answer) refusal() error {
	r := &refusal{}
	var texts []string
	for _, e := range a.Errors {
		r.codes = append(r.codes, e.Extensions.Code)
		text := e.Message
		if field := strings.TrimPrefix(e.Extensions.Field, "input."); field != "" {
			text = field + ": " + text
		}
		texts = append(texts, text+" ("+e.Extensions.Code+")")
	}
	r.text = strings.Join(texts, "\n")
	return r
}

// isTransient reports whether the same request may succeed a little later: the server could not be
// reached, or has no room now.
func isTransient(err error) bool {
	if r, ok := errors.AsType[*refusal](err); ok {
		for _, code := range r.codes {
			if code != "UNAVAILABLE" && code != "LIMITED" && code != "STALE" {
				return false
			}
		}
	}
	return !errors.Is(err, context.Canceled)
}
