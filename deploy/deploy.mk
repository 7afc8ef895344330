# What operators get beside the programs: units, man pages, completion, examples. `make install` ends with install-deploy.
INSTALL_SHARE = $(DESTDIR)$(PREFIX)/share
# Units and documents name /usr/local; they are written for it and hold wherever they are installed.
install_under_prefix = sed 's|/usr/local|$(PREFIX)|g' $(1) >$(2)/$(notdir $(1)) && chmod 644 $(2)/$(notdir $(1))
DEPLOY_UNITS := $(wildcard deploy/systemd/*.service deploy/systemd/*.target)
DEPLOY_EXAMPLES := deploy/redis.conf deploy/redis-cluster.conf $(wildcard deploy/systemd/*.json deploy/stunnel/*.conf)

# The pages say the day of the release on top of CHANGELOG.md, so that the same source makes the same page.
MAN_DATE = $(shell sed -nE 's/^\#\# [0-9.]+ - ([0-9-]+)$$/\1/p' CHANGELOG.md | head -n 1 | LC_ALL=C xargs -r -I{} date -d {} '+%B %-d, %Y')
.PHONY: man
man: $(PROGRAMS) ## manual pages into build/man, made from what the programs say of themselves
	$(Q)rm -rf build/man && deploy/man/pages.sh $(abspath $(B)/bin) build/man '$(MAN_DATE)'

.PHONY: install-deploy
install-deploy: man
	install -d $(INSTALL_SHARE)/man/man1 $(INSTALL_SHARE)/bash-completion/completions $(INSTALL_SHARE)/zsh/site-functions $(INSTALL_SHARE)/fish/vendor_completions.d
	install -m 644 build/man/*.1 $(INSTALL_SHARE)/man/man1
	for program in $(notdir $(PROGRAMS)); do \
	  install -m 644 deploy/completion/ferret.bash $(INSTALL_SHARE)/bash-completion/completions/$$program; \
	  install -m 644 deploy/completion/ferret.fish $(INSTALL_SHARE)/fish/vendor_completions.d/$$program.fish; done
	install -m 644 deploy/completion/_ferret $(INSTALL_SHARE)/zsh/site-functions
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d $(INSTALL_SHARE)/doc/ferretry/examples
	$(foreach u,$(DEPLOY_UNITS),$(call install_under_prefix,$(u),$(DESTDIR)$(PREFIX)/lib/systemd/system) &&) true
	install -m 644 deploy/systemd/ferretry.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/ferretry.conf
	install -m 644 $(DEPLOY_EXAMPLES) $(INSTALL_SHARE)/doc/ferretry/examples
