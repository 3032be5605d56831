package mail

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"roster/secret"
)

// postOffice is an SMTP server.
type postOffice struct {
	address string
	roots   *x509.CertPool
	// The answers to the steps of a mail; nil accepts everything.
	onMail, onRecipient func(address string) error
	onData              func(text []byte) error
	password            string

	mu    sync.Mutex
	taken []delivered
	// arrived has a value for each mail that was taken.
	arrived chan delivered
}

// delivered is a mail that the server has taken.
type delivered struct {
	from, to, user string
	encrypted      bool
	raw            []byte
}

// openPostOffice starts an SMTP server that does as change says.
func openPostOffice(t *testing.T, change func(*postOffice, *smtp.Server)) *postOffice {
	t.Helper()
	o := &postOffice{address: "127.0.0.1:0", arrived: make(chan delivered, 1000)}
	server := smtp.NewServer(o)
	server.Domain, server.AllowInsecureAuth = "post.example", true
	server.EnableSMTPUTF8 = true
	server.ErrorLog = log.New(io.Discard, "", 0)
	if change != nil {
		change(o, server)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", o.address)
	if err != nil && o.address != "127.0.0.1:0" {
		t.Skip("the machine has no such address")
	}
	must(t, err)
	o.address = listener.Addr().String()
	if server.TLSConfig != nil && server.LMTP {
		server.LMTP = false // the tests' sign for TLS from the beginning
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	return o
}

// certified returns a certificate of 127.0.0.1, and who trusts it.
var certified = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, roots
})

// withTLS offers STARTTLS, or speaks TLS from the beginning.
func (o *postOffice) withTLS(server *smtp.Server, implicit bool) {
	server.TLSConfig, o.roots = certified()
	server.LMTP = implicit
}

// sender returns an SMTP that uses the server; before and after are the parts of its
// address around the name of the server.
func (o *postOffice) sender(t *testing.T, before, after string) *SMTP {
	t.Helper()
	from, err := ParseFrom("Example <accounts@example.com>")
	must(t, err)
	s, err := ParseSMTP(secret.New(before+o.address+after), from)
	must(t, err)
	s.roots = o.roots
	return s
}

// NewSession implements smtp.Backend.
func (o *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &visit{office: o, conn: c}, nil
}

// visit is a session of a client.
type visit struct {
	office   *postOffice
	conn     *smtp.Conn
	from, to string
	user     string
}

func (v *visit) AuthMechanisms() []string {
	if v.office.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != v.office.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no entry for " + user + " with " + password}
		}
		v.user = user
		return nil
	}), nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	v.from = from
	if v.office.password != "" && v.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in first"}
	}
	if v.office.onMail != nil {
		return v.office.onMail(from)
	}
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.to = to
	if v.office.onRecipient != nil {
		return v.office.onRecipient(to)
	}
	return nil
}

func (v *visit) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if v.office.onData != nil {
		if err := v.office.onData(raw); err != nil {
			return err
		}
	}
	_, encrypted := v.conn.TLSConnectionState()
	d := delivered{v.from, v.to, v.user, encrypted, raw}
	v.office.mu.Lock()
	v.office.taken = append(v.office.taken, d)
	v.office.mu.Unlock()
	v.office.arrived <- d
	return nil
}

func (*visit) Reset()        {}
func (*visit) Logout() error { return nil }

// answering returns an answer of the server that repeats what it was told, as some do.
func answering(code int) func(string) error {
	return func(about string) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "canary: " + about}
	}
}

// all returns the mails that were taken.
func (o *postOffice) all() []delivered {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]delivered(nil), o.taken...)
}

// parse returns the header of a mail, and its parts by their type.
func (d *delivered) parse(t *testing.T) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(d.raw))
	must(t, err)
	parts := map[string]string{}
	must(t, eachPart(m, func(kind, text string) { parts[kind] = text }))
	return m.Header, parts
}

// eachPart calls fn with each part of a mail of several parts.
func eachPart(m *netmail.Message, fn func(kind, text string)) error {
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart() // which decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		fn(kind, strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
}
