package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
	"github.com/longshore/longshore/pipeline/secrets"
)

// Exit codes, after sysexits.h where it has one.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 69 // a destination cannot be reached
	exitConfig      = 78 // the config is not valid
)

// An app is one invocation of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	components     []pipeline.Spec
	logLevel       slog.Level
	// secrets has what configs name of Vault and AWS; nil before the first.
	secrets *secrets.Store
	// secretsAway is set once a source of them did not answer, and may do so later.
	secretsAway bool
	ctx         context.Context // of the command, for reading them; nil for none
	// signals returns a context that the first signal to end cancels; nil for none. With hangup,
	// SIGHUP is one of them.
	signals func(ctx context.Context, hangup bool) (context.Context, context.CancelFunc)
	// reloads tells of signals to reload until stop is called; nil for none.
	reloads func() (asked <-chan os.Signal, stop func())
}

// run executes the arguments until ctx ends, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.commands()
	a.ctx = ctx
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	return a.reportError(err)
}

func (a *app) commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "longshore",
		Short:         "Ship the logs of containers and files to Loki and Elasticsearch",
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("longshore {{.Version}}\n")
	root.AddCommand(a.runCommand(), a.checkCommand(), a.tryCommand(), a.testCommand(), a.replayCommand(),
		a.verifyCommand(), a.rollbackCommand(),
		a.importCommand(), a.listCommand(), a.healthcheckCommand(), a.versionCommand())
	root.AddCommand(a.schemaCommand(), a.newCommand(), a.tailCommand(), a.topCommand())
	root.AddCommand(a.doctorCommand(), a.explainCommand(), a.alertCommand())
	return root
}

// A failure is an error with an exit code. Any other error of a command is cobra's, about its
// usage.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed makes the error of a command a failure.
func failed(err error) error {
	var f *failure
	var problems config.Errors
	switch {
	case err == nil, errors.As(err, &f):
		return err
	case errors.As(err, &problems):
		return &failure{exitConfig, err}
	}
	return &failure{exitFailed, err}
}

// action returns a cobra function whose errors are failures.
func action(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return failed(do(cmd, args)) }
}

// untilSignal returns the context of a command that has something to finish when a signal asks it
// to end. All others end with the signal, whatever they wait for, and so does the reading of a
// config.
func (a *app) untilSignal(cmd *cobra.Command, hangup bool) (context.Context, context.CancelFunc) {
	if a.signals == nil {
		return context.WithCancel(cmd.Context())
	}
	return a.signals(cmd.Context(), hangup)
}

// hangups tells of SIGHUP, until stop is called; nil where it is ignored.
func (a *app) hangups() (asked <-chan os.Signal, stop func()) {
	if a.reloads == nil {
		return nil, func() {}
	}
	return a.reloads()
}

// reportError prints an error, and returns the exit code.
func (a *app) reportError(err error) int {
	var f *failure
	if !errors.As(err, &f) {
		printf(a.stderr, "longshore: %v\nSee \"longshore --help\".\n", err)
		return exitUsage
	}
	var problems config.Errors
	if errors.As(err, &problems) {
		a.printConfigErrors(problems)
	} else {
		printf(a.stderr, "%s %v\n", a.styleOf(a.stderr).red("longshore:"), err)
	}
	return f.code
}
