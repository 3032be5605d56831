package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestSecretsAreNotPrinted prints, logs and encodes a secret in every way, inside
// of values of every kind.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const canary = "s3cr3t-canary"
	s := New(canary)
	type outer struct {
		hidden Text
		inner  struct{ Text Text }
		list   []Text
		any    any
	}
	o := outer{hidden: s, list: []Text{s}, any: s}
	o.inner.Text = s
	var out bytes.Buffer
	for _, value := range []any{s, &s, o, &o, []Text{s}, map[string]Text{"k": s}, map[Text]int{s: 1}, []any{s, o}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%10.3s"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value, fmt.Errorf("failed: %w: %v", errors.New("cause"), value))
		for _, log := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
			log.Info("m", "value", value, slog.Group("g", "value", value))
		}
		if text, err := json.Marshal(value); err == nil {
			out.Write(text)
		}
		if text, err := xml.Marshal(value); err == nil {
			out.Write(text)
		}
	}
	if printed := out.String(); strings.Contains(printed, canary) || strings.Contains(printed, fmt.Sprintf("%x", canary)) || strings.Count(printed, Shown) < 50 {
		t.Error(printed)
	}
	if s.Reveal() != canary || s.Empty() || !s.Equal(New(canary)) || s.Equal(Text{}) || !(Text{}).Empty() || !New("").Empty() {
		t.Error("Reveal, Empty or Equal is wrong")
	}
}

// Text that is not visible ASCII cannot come in a header.
func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": true, "!azAZ09~": true, " ": false, "a b": false, "a\t": false, "\x7f": false, "ä": false, "\xff": false} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := New(text).Visible(); got != want {
				t.Errorf("%q: %t", text, got)
			}
		})
	}
}
