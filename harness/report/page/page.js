'use strict';
// The page can be read without this: it adds the keys, the theme, and a search in the log.
(() => {
	const root = document.documentElement, all = [...document.querySelectorAll('.cell')];
	root.classList.add('js');

	// The theme: as the system has it, or what was chosen last. A page from a file may have no storage.
	const theme = document.getElementById('theme'), themes = ['', 'light', 'dark'];
	const remember = (v) => { try { localStorage.setItem('kcatch-theme', v); } catch (e) { /* not kept, then */ } };
	const show = (v) => {
		if (v) root.dataset.theme = v; else delete root.dataset.theme;
		theme.textContent = 'theme: ' + (v || 'system');
	};
	let chosen = '';
	try { chosen = localStorage.getItem('kcatch-theme') || ''; } catch (e) { /* as the system has it */ }
	if (!themes.includes(chosen)) chosen = '';
	show(chosen);
	theme.hidden = false;
	theme.addEventListener('click', () => {
		chosen = themes[(themes.indexOf(chosen) + 1) % themes.length];
		show(chosen);
		remember(chosen);
	});

	// The cell that is open: its address is the page's.
	const grid = document.querySelector('.grid');
	const title = document.title;
	let last = null;
	const current = () => {
		let id = location.hash.slice(1);
		try { id = decodeURIComponent(id); } catch (e) { /* no address of ours */ }
		const at = id && document.getElementById(id);
		return (at && at.closest('.cell')) || null;
	};
	const linkOf = (cell) => grid && cell && [...grid.querySelectorAll('.box')].find((a) => a.hash.slice(1) === cell.id);
	const opened = () => {
		const cell = current();
		document.title = cell ? cell.dataset.name + ' · ' + title : title;
		if (cell) {
			lines(cell);
			if (location.hash.slice(1) === cell.id) {
				scrollTo(0, 0);
				cell.focus({ preventScroll: true });
			}
		} else if (last) {
			const link = linkOf(last);
			if (link) link.focus();
		}
		last = cell;
	};
	addEventListener('hashchange', opened);

	// Keys. In the grid the arrows move; in a cell left and right go on to the next one, and Esc closes it.
	const boxes = () => [...grid.tBodies[0].rows].map((r) => [...r.cells].filter((c) => c.tagName === 'TD').map((td) => td.querySelector('.box')));
	const step = (from, dy, dx) => {
		const rows = boxes();
		let y = rows.findIndex((r) => r.includes(from)), x = y < 0 ? -1 : rows[y].indexOf(from);
		if (y < 0) return null;
		for (y += dy, x += dx; rows[y] && x >= 0 && x < rows[y].length; y += dy, x += dx) if (rows[y][x]) return rows[y][x];
		return null;
	};
	const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
	addEventListener('keydown', (e) => {
		if (e.ctrlKey || e.metaKey || e.altKey || e.shiftKey || !grid) return;
		const typing = e.target.matches('input, textarea, select'), cell = current();
		if (e.key === 'Escape' && cell && !document.body.classList.contains('single')) {
			if (typing && e.target.value) return;
			location.hash = 'matrix';
			e.preventDefault();
		} else if (typing) {
			return;
		} else if (cell && (e.key === 'ArrowLeft' || e.key === 'ArrowRight')) {
			const to = cell.querySelector(e.key === 'ArrowLeft' ? '.steps [rel=prev]' : '.steps [rel=next]');
			if (to) location.hash = to.hash;
			e.preventDefault();
		} else if (!cell && moves[e.key]) {
			const inGrid = document.activeElement.closest && document.activeElement.closest('.box');
			const to = inGrid ? step(inGrid, ...moves[e.key]) : (e.key === 'ArrowRight' ? grid.querySelector('.box') : null);
			if (to) to.focus();
			if (to || inGrid) e.preventDefault();
		} else if (cell && e.key === '/') {
			const find = cell.querySelector('.find input');
			if (find) { find.focus(); e.preventDefault(); }
		}
	});

	// The log of a cell becomes lines when the cell is opened, and not before: a page may have a hundred thousand of them.
	const lines = (cell) => {
		const log = cell.querySelector('.log'), find = cell.querySelector('.find');
		if (!log || log.dataset.ready) return;
		log.dataset.ready = '1';
		const made = document.createDocumentFragment();
		for (const node of [...log.childNodes]) {
			const kind = node.nodeType === Node.ELEMENT_NODE ? node.className : '';
			for (const text of node.textContent.split('\n')) {
				if (!text) continue;
				const line = document.createElement('span'), stamp = /^\[ *[\d.]+\]/.exec(text);
				line.className = ('l ' + kind).trim();
				if (stamp) {
					const time = document.createElement('time');
					time.textContent = stamp[0];
					line.append(time);
				}
				line.append((stamp ? text.slice(stamp[0].length) : text) + '\n');
				made.append(line);
			}
		}
		log.replaceChildren(made);
		search(log, find);
		toReport(log);
	};
	const toReport = (log) => {
		const report = log && log.querySelector('.report');
		if (report) log.scrollTop = report.offsetTop - log.offsetTop - log.clientHeight / 2;
	};

	const search = (log, find) => {
		const input = find.querySelector('input[type=search]'), only = find.querySelector('input[type=checkbox]');
		const hits = find.querySelector('.hits'), report = find.querySelector('button');
		let found = [], at = -1;
		find.hidden = false;
		const into = (line) => { log.scrollTop = line.offsetTop - log.offsetTop - log.clientHeight / 2; };
		const go = (n) => {
			if (at >= 0) found[at].classList.remove('here');
			at = found.length ? (n + found.length) % found.length : -1;
			if (at >= 0) { found[at].classList.add('here'); into(found[at]); }
			hits.textContent = !input.value ? '' : found.length ? (at + 1) + ' of ' + found.length + ' lines, Enter for the next' : 'no line has it';
		};
		const look = () => {
			const want = input.value.toLowerCase(), ranges = [];
			if (at >= 0) found[at].classList.remove('here');
			found = [];
			at = -1;
			for (const line of log.children) {
				const text = line.textContent.toLowerCase(), hit = want !== '' && text.includes(want);
				line.classList.toggle('hit', hit);
				if (!hit) continue;
				found.push(line);
				const node = line.lastChild, begin = node.textContent.toLowerCase().indexOf(want);
				if (begin >= 0) {
					const range = document.createRange();
					range.setStart(node, begin);
					range.setEnd(node, Math.min(begin + want.length, node.length));
					ranges.push(range);
				}
			}
			log.classList.toggle('only', only.checked && want !== '');
			if (globalThis.CSS && CSS.highlights) CSS.highlights.set('found', new Highlight(...ranges));
			go(0);
		};
		input.addEventListener('input', look);
		only.addEventListener('change', look);
		input.addEventListener('keydown', (e) => {
			if (e.key === 'Enter') { go(at + (e.shiftKey ? -1 : 1)); e.preventDefault(); }
		});
		if (report) report.addEventListener('click', () => toReport(log));
	};

	if (all.length === 1 && document.body.classList.contains('single')) lines(all[0]);
	if (location.hash) opened();
	addEventListener('load', () => { // the browser goes to the page's address when all of it is there
		const cell = current();
		if (cell && location.hash.slice(1) === cell.id) scrollTo(0, 0);
		if (cell) toReport(cell.querySelector('.log'));
	});
})();
