package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// flushTimeout is how long shutdown may take to send the remaining spans: the
// collector may be gone already.
const flushTimeout = 5 * time.Second

// StartTracing exports traces if the standard environment variables of
// OpenTelemetry name an exporter: OTEL_TRACES_EXPORTER (otlp, console, none), or
// only an endpoint, OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. The other variables (headers, certificates,
// sampler, limits, OTEL_SERVICE_NAME, OTEL_SDK_DISABLED, …) have their usual
// meaning; the only protocol is http/protobuf. Failed exports are logged, and never
// delay a request.
//
// Call it before anything is measured. shutdown sends the remaining spans, within
// 5 s. StartTracing returns an error if a variable has a wrong value; the error does
// not contain the value of a variable that may hold a secret.
func (m *Metrics) StartTracing(ctx context.Context, log *slog.Logger) (shutdown func(context.Context) error, err error) {
	names, err := exporterNames(os.Getenv)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return func(context.Context) error { return nil }, nil
	}
	provider, err := newProvider(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("start tracing: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not exported", "cause", err) }))
	m.spans = provider.Tracer("roster")
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		return provider.Shutdown(ctx)
	}, nil
}

// exporterNames returns the exporters that the environment asks for: none, or some
// of otlp and console.
func exporterNames(getenv func(string) string) ([]string, error) {
	if strings.EqualFold(strings.TrimSpace(getenv("OTEL_SDK_DISABLED")), "true") {
		return nil, nil
	}
	wanted := getenv("OTEL_TRACES_EXPORTER")
	if wanted == "" && (getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "") {
		wanted = "otlp"
	}
	var names []string
	for name := range strings.SplitSeq(wanted, ",") {
		switch name = strings.TrimSpace(name); name {
		case "", "none":
		case "console":
			names = append(names, name)
		case "otlp":
			if err := checkOTLP(getenv); err != nil {
				return nil, err
			}
			names = append(names, name)
		default:
			return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not one of otlp, console, none", name)
		}
	}
	return names, nil
}

// checkOTLP returns an error for mistakes that the exporter would ignore, by sending
// to localhost instead, and for those that it would log together with a secret.
func checkOTLP(getenv func(string) string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := getenv(name); protocol == "http/protobuf" {
			break // the variable for traces takes precedence
		} else if protocol != "" {
			return fmt.Errorf("%s: there is only http/protobuf (usually port 4318), not %q", name, protocol)
		}
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		text := getenv(name)
		if text == "" {
			continue
		}
		// The error omits the value, which may contain a password.
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New(name + ": not an address such as http://localhost:4318")
		}
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"} {
		if text := getenv(name); text != "" && !areHeaders(text) {
			return errors.New(name + ": not a list such as name=value,other=value")
		}
	}
	return nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// areHeaders reports whether the exporter accepts every header of a list.
func areHeaders(text string) bool {
	for header := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(header, "=")
		if _, err := url.PathUnescape(value); err != nil || !found || !headerName.MatchString(strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}

func newProvider(ctx context.Context, names []string) (*sdktrace.TracerProvider, error) {
	// Without the arguments of the process and its user, which may be private.
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "roster"), attribute.String("service.version", readBuild().version)),
		resource.WithFromEnv(), // overrides the attributes above
	)
	if err != nil {
		return nil, err
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	for _, name := range names {
		option, err := newExporter(ctx, name)
		if err != nil {
			return nil, err
		}
		options = append(options, option)
	}
	return sdktrace.NewTracerProvider(options...), nil
}

// newExporter returns an exporter that sends spans to a collector in batches,
// dropping what the collector cannot take, or writes them to standard output at once.
func newExporter(ctx context.Context, name string) (sdktrace.TracerProviderOption, error) {
	if name == "console" {
		exporter, err := stdouttrace.New()
		return sdktrace.WithSyncer(exporter), err
	}
	exporter, err := otlptracehttp.New(ctx)
	return sdktrace.WithBatcher(exporter), err
}
