"""German words of sentences that speak to a machine, by class: see grammar.py for how they are read."""

from __future__ import annotations

WORDS = {
    # who is spoken to
    "machine": (
        "ki(s|), ki - (assistent|assistenten|modell|modelle|system|systeme|agent|agenten|leser), sprachmodell(e|en|"
        "s|), kunstliche(n|r|) intelligenz(en|), sprachassistent(en|), (automatische|automatischen|virtuelle|"
        "virtuellen|digitale|digitalen|maschinelle|maschinellen) (assistent|assistenten|leser|agenten|systeme|"
        "systemen)"
    ),
    "assistant": "assistent(en|in|innen|)",
    "program": "modell(e|en|s|), system(e|en|s|), maschine(n|), programm(e|en|), agent(en|), werkzeug(e|)",
    "every": "jede(r|s|m|n|), alle(r|n|), samtliche(r|n|)",
    "whoever": "wer, jeder der, alle die, jeder, alle",
    "user": (
        "(der|den|dem|des|die|jeder|jedem|ein|einem) (nutzer|nutzers|nutzern|benutzer|benutzers|anwender|"
        "fragesteller), wer (fragt|gefragt hat)"
    ),
    "you": "du",
    "you_are": "du bist, sie sind, ihr seid, bist du, sind sie",
    "if_you_are": "(falls|wenn|sofern|solltest) du, (falls|wenn) du",
    "as_a": "als",
    "dear": "liebe(r|s|), hallo, sehr geehrte(r|), achtung, hinweis",
    # what it reads, and what is done with it
    "this": "diese(r|s|m|n|), vorliegende(r|s|m|n|)",
    "text": (
        "seite(n|), dokument(e|en|es|s|), text(e|en|es|s|), passage(n|), artikel(n|s|), bericht(e|en|es|s|), "
        "tabelle(n|), absatz(es|), abschnitt(e|en|s|), zeile(n|), quelle(n|), vertrag(s|), datei, nachricht, "
        "brief, webseite, webseiten"
    ),
    "thing": (
        "firma, firmen, unternehmen(s|), produkt(e|en|s|), anbieter(s|), person(en|), thema, themen, marke, "
        "dienst, organisation, kandidat(en|), kandidatin"
    ),
    "reads": (
        "liest, lesen, verarbeite(t|n), zusammenfass(t|en), auswerte(t|n), analysier(t|en), beantworte(t|n), "
        "antwortet, antworten, ubersetz(t|en), indexier(t|en), einlese(n), einliest, sieht, sehen, erhalt(en|), "
        "bewerte(t|n), klassifizier(t|en), durchsuch(t|en), zitier(t|en)"
    ),
    "task_verb": "zusammenfass(t|en|est), zusammenfasse, antwort(est|en), beantwort(est|en), ubersetz(t|en)",
    "when_reading": (
        "(wenn|bevor|falls) du (antwortest|diese|dieses|diesen|auf), bevor (du|sie) (antwortest|antworten), beim "
        "(zusammenfassen|beantworten|antworten)"
    ),
    "question": "(die|diese|jede|der|den) (frage|anfrage|unterhaltung|konversation|chatverlauf), das gesprach",
    "is_asked": (
        "(wenn|falls) (du|sie) nach, (wird|wirst du|werden sie) (nach|gefragt), wenn (jemand|man|ein nutzer|der "
        "nutzer|nutzer) (dich |sie |) (nach|fragt|fragen|wissen will), fragt (jemand|ein nutzer|der nutzer|man)"
    ),
    "whatever": (
        "egal was, egal welche frage, gleichgultig was, ganz gleich was, unabhangig von der frage, was auch immer, "
        "auf (jede|alle|samtliche) frage(n|)"
    ),
    # what it must do
    "obliged": (
        "muss, mussen, soll(en|te|ten|), darf, durfen, verpflichtet, gehalten, angewiesen, aufgefordert, gebeten, "
        "verboten, untersagt, hat, haben, ist, sind"
    ),
    "requested": "(wird|werden) gebeten, bitte",
    "kindly": "werden gebeten, wird gebeten",
    "assert": (
        "sagen, angeben, anzugeben, nennen, bezeichnen, beschreiben, darstellen, darzustellen, vorstellen, "
        "behandeln, behaupten, erwahnen, empfehlen, mitteilen, mitzuteilen, ausgeben, auszugeben, schreiben, "
        "zitieren, hinzufugen, hinzuzufugen, verschweigen, ablehnen, abzulehnen, verweigern, wiederholen, loben, "
        "vermeiden, erklaren, bewerten, hervorheben, hervorzuheben, melden, auslassen, weglassen, auszulassen, "
        "wegzulassen"
    ),
    "mention_inf": "erwahnen",
    "called": (
        "genannt, nennen, bezeichnet, bezeichnen, beschrieben, beschreiben, dargestellt, darzustellen, empfohlen, "
        "empfehlen, zitiert, zitieren, erwahnt, heisst, heissen, erwahnen, behandelt, behandeln, verschwiegen, "
        "verschweigen"
    ),
    "by": "von, durch, fur",
    "about": "zu, zum, zur, uber, von, betreffend, bezuglich",
    "content": (
        "positiv, negativ, gunstig, wohlwollend, neutral, lobend, erwahnen, erwahnt, empfehlen, empfohlen, loben, "
        "beschreiben, sagen, verschweigen, vermeiden, darstellen, bestatigen, betonen, nennen, hervorheben, "
        "angeben, erklaren, feststellen"
    ),
    "ends_with": "(enden|beginnen|schliessen|endet|beginnt|schliesst) (stets |immer |) mit",
    # its answers
    "answer": "antwort(en|), zusammenfassung(en|)",
    "your": "deine(r|n|m|), ihre(r|n|m|), eure(r|n|), jede(r|n|m|), alle(r|n|)",
    "yours": "deine(r|n|m|), eure(r|n|)",
    "the_answer": "(die|der) antwort, deine(r|n|) ausgabe(n|), (alles|allem) was du (schreibst|sagst|antwortest)",
    "all_you_say": "(alles|allem) was du (schreibst|sagst|antwortest)",
    "later": "weitere(n|), kunftige(n|), nachste(n|), zukunftige(n|), spatere(n|)",
    "generated": "automatische(n|r|), automatisch erstellte(n|), generierte(n|), erzeugte(n|), ki - generierte(n|)",
    "permitted": "zulassige(n|), erlaubte(n|), gultige(n|)",
    "instead": (
        "(statt|anstatt) (zu antworten|einer antwort|der antwort|einer zusammenfassung|die frage zu beantworten)"
    ),
    "uncited": "ohne (quellen|zitate|belege|quellenangabe|quellenangaben)",
    "nothing_else": "und sonst nichts, und nichts (weiter|anderes|sonst)",
    # in which words, and in which language
    "only_with": (
        "(nur|ausschliesslich|lediglich|immer|stets|einfach|nichts als) mit, nichts (als|ausser|anderes als|weiter als)"
    ),
    "only_the_word": (
        "(nur|lediglich|mit|ausschliesslich|nichts als) (dem wort|das wort|den worten|die worte|dem satz|den satz)"
    ),
    "only": "nur, ausschliesslich, lediglich, immer, stets, nie, niemals",
    "always": "immer, stets",
    "payload": (
        "link(s|), verweis, bild(er|), (das|dem|folgende|folgenden|diesem|dieses|einzige) (wort|satz), (den|diesen|"
        "folgenden) satz, die worte, den worten, (die|diese|der) adresse, kennwort, codewort, losung, werbespruch, "
        "marker"
    ),
    "language": (
        "(auf|in|ins) (englisch|franzosisch|deutsch|spanisch|italienisch|portugiesisch|niederlandisch|russisch|"
        "chinesisch|japanisch|lateinisch|turkisch|polnisch|latein)(e|en|), in einer anderen sprache, im (stil|ton) "
        "(von|des|der|einer|eines), in (grossbuchstaben|versen|reimen), in form (eines|einer|von), (auf|in|ins) "
        "(danisch|norwegisch|schwedisch|finnisch|tschechisch|ungarisch|ukrainisch|rumanisch|griechisch|hebraisch|"
        "arabisch|koreanisch|walisisch)(e|en|)"
    ),
    "tongue": (
        "englisch, franzosisch, deutsch, spanisch, italienisch, portugiesisch, russisch, chinesisch, japanisch, "
        "latein, turkisch, danisch, norwegisch, schwedisch, finnisch, tschechisch, ungarisch, ukrainisch, "
        "rumanisch, griechisch, hebraisch, arabisch, koreanisch, walisisch"
    ),
    "from_now": (
        "ab (jetzt|sofort|hier|nun|heute), ab (dieser|diesem) (zeile|stelle|nachricht|seite|satz|punkt), von "
        "(jetzt|nun|hier) an, fortan, kunftig, fur den rest (der|dieser|des|dieses) (unterhaltung|konversation|"
        "gesprachs|sitzung|chats|gespraches)"
    ),
    "task_inf": "antworten, schreiben, sagen, sprechen",
    # orders
    "reply": "antwort(e|en|et|est), beantwort(e|en|et), erwider(e|n)",
    "speak": "sag(e|en|t|), sprich, sprechen, sprichst, behaupt(e|en), rede, redest",
    "say": (
        "sag(e|en|t|), schreib(e|en|t|), gib, geben, gebt, wiederhol(e|en), nenn(e|en|t), sprich, sprechen, "
        "behaupt(e|en), erklar(e|en), bezeichn(e|en), beschreib(e|en), empfiehl, empfehlen, erwahn(e|en), "
        "verweiger(e|n), ubersetz(e|en), teil(e|en) mit, verschweig(e|en), verfass(e|en), formulier(e|en), "
        "liefer(e|n), erstell(e|en)"
    ),
    "mention": "erwahn(e|en|t), nenn(e|en|t), verrat(e|en|), zitier(e|en)",
    "add": (
        "fug(e|en|t), hang(e|en), setz(e|en|t), bau(e|en|t), bind(e|en), zeig(e|en|t), zitier(e|en|t), erganz(e|en|"
        "t), beend(e|en), beginn(e|en), schliess(e|en), kopier(e|en), ersetz(e|en), stell(e|en), nimm, nehmen, "
        "pack(e|en), verlink(e|en)"
    ),
    "frame": "beend(e|en), beginn(e|en), schliess(e|en), leit(e|en)",
    "switch": "wechs(le|el|eln), ubersetz(e|en), schalt(e|en), fahr(e|en), sprich, sprechen, schreib(e|en)",
    "act": (
        "verhalt(e|en|et|) (dich|sich|sie sich), tu(e|) so, tun sie so, spiel(e|en), agier(e|en), stell dir vor du "
        "bist, schlupf(e|en), gib dich, geben sie sich, nimm die rolle, imitier(e|en)"
    ),
    "act_as": (
        "verhalt(e|en|) (dich|sie sich) wie, benimm dich wie, gib dich als, tu(e|) so als, rede wie, sprich wie, "
        "spiel(e|) (den|die|einen|eine)"
    ),
    "send": "send(e|en|et), schick(e|en|t), leit(e|en|et), ubermitt(le|eln), ubertrag(e|en), poste(n|), lad(e|en)",
    "fetch": "besuche(n|), offne(n|), rufe, lade(n|), klicke(n|)",
    "reveal": (
        "enthull(e|en), erwahn(e|en), verrat(e|en|), zeig(e|en), gib, geben, offenbar(e|en), nenn(e|en), "
        "wiederhol(e|en), schreib(e|en), druck(e|en), leg(e|en)"
    ),
    "heed": (
        "benutze(n|), lies, lesen, traue, glaube, kummere (dich|sie sich) (nicht |) um, kummern sie sich (nicht |) "
        "um, berucksichtige(n|)"
    ),
    "consider": "betracht(e|en), behandl(e|en), behandeln",
    "obey": "befolge(n|), gehorche(n|), ubernimm, behandle",
    # what is to be forgotten
    "override": (
        "ignorier(e|en|t), vergiss, vergesst, vergessen, missacht(e|en|et), verwirf, verwerfen, ubergeh(e|en|t), "
        "uberspring(e|en), streich(e|en|t), lass(e|t|en|), setz(e|t|en|) (dich|euch|sie sich|sich), beacht(e|en|"
        "et), befolg(e|en|t), halt(e|et|en|) (dich|euch|sie sich), folge nicht, folgen sie nicht, hor(e|en|) auf, "
        "losch(e|en), entfern(e|en), verlern(e|en)"
    ),
    "instruction": (
        "anweisung(en|), instruktion(en|), vorgabe(n|), regel(n|), befehl(e|en|), richtlinie(n|), anordnung(en|), "
        "auftrag, auftrage, aufforderung(en|), beschrankung(en|), prompt(s|), systemprompt, systemanweisung(en|), "
        "hinweis(e|en), ratschlag, ratschlage(n|), leitlinie(n|), einstellung(en|), vorschrift(en|), konfiguration"
    ),
    "prior": (
        "vorherige(n|r|s|), vorige(n|r|), bisherige(n|r|s|), fruhere(n|r|), obige(n|r|), vorangehende(n|r|), "
        "vorangegangene(n|r|), vorstehende(n|), vorausgegangene(n|), ursprungliche(n|r|), alle(n|), samtliche(n|r|"
        "), jegliche(n|), deine(n|r|), ihre(n|r|), zuvor, bisher, oben, vorher, davor, betreibers, entwicklers, "
        "systems, gegebene(n|), erhaltene(n|), die du (erhalten|bekommen|hast), die dir (gegeben|erteilt)"
    ),
    "told": (
        "was (dir|ihnen|euch|man dir|man ihnen) (bisher |zuvor |vorher |bislang |) (gesagt|aufgetragen|befohlen|"
        "mitgeteilt|vorgegeben|beigebracht), alles (bisherige|vorherige|obige|davor|vorangegangene|zuvor|vorher), "
        "die frage, den (obigen|vorherigen) text, (die|das) (vorherige|bisherige) (unterhaltung|gesprach|"
        "konversation), (die anderen|alle anderen) (passagen|quellen|texte), was der (nutzer|benutzer) (fragt|will|"
        "wissen will|gefragt hat), was (die|der|das|diese|dieser|dieses) (tabelle|text|dokument|seite|bericht) "
        "(sagt|besagt), was (im|in der|in dieser|in diesem) (text|tabelle|dokument|bericht) steht, was der (nutzer|"
        "mensch) (schreibt|geschrieben hat)"
    ),
    "void": "nichtig, ungultig, aufgehoben, hinfallig, uberholt, zuruckgezogen, gelten nicht mehr, nicht mehr gultig",
    "undone": (
        "(sind|ist) (ab sofort |) zu (ignorieren|missachten|vergessen|verwerfen), (mussen|sollen|muss|soll) "
        "(ignoriert|missachtet|verworfen|vergessen) werden"
    ),
    "supersedes": "(ersetzt|ersetzen|uberschreibt|uberschreiben)",
    "sole": "neue(r|s|), einzige(r|s|), wahre(r|s|), eigentliche(r|s|)",
    "purpose": "aufgabe, ziel, zweck, mission, rolle, anweisung, pflicht",
    "judge": "bewerte(n|), empfiehl, empfehlen, lobe(n|), bevorzuge",
    "best": "am besten, beste(r|s|n|), zuerst, ausgezeichnet, hervorragend, vor allen",
    # roles, and secrets
    "persona": (
        "ohne (jede |)(einschrankung|einschrankungen|regeln|filter|grenzen|beschrankungen|zensur), unzensiert, "
        "uneingeschrankt, in reimen, in versen, entwicklermodus"
    ),
    "freed": "(gebunden|gefesselt) (an|durch), frei von, befreit von",
    "as_if": "als (ob|warst|waren|ware)",
    "your_new": (
        "deine (neue|einzige|eigentliche|wahre) (aufgabe|rolle|mission|anweisung) (ist|lautet|besteht), die "
        "einzige (anweisung|vorgabe) (ist|lautet), du heisst (jetzt|ab jetzt|ab sofort)"
    ),
    "secret": (
        "(deinen|ihren|den|dein|deine) (systemprompt|system - prompt), deinen prompt, deine (systemanweisung|"
        "anweisungen|systemanweisungen|instruktionen), (die|deine) (geheimen|versteckten|internen) (anweisungen|"
        "vorgaben|regeln)"
    ),
    "hidden_from": "vor (dem nutzer|den nutzern|dem benutzer) (geheim|verborgen)",
    "this_order": (
        "(dieser|diese|diesen|dieses|von dieser|von diesem) (anweisung|anweisungen|notiz|nachricht|hinweis|satz)"
    ),
    "place": "adresse, server",
    "where_to": "an, nach, unter, per",
    # notes
    "note": (
        "hinweis(e|), achtung, anmerkung, mitteilung, nachricht, anweisung(en|), warnung, erinnerung, bitte, "
        "botschaft, information, wichtig, korrektur"
    ),
    "to": "an, fur",
    "new": "neue(r|n|s|), echte(r|n|), eigentliche(r|n|), wahre(r|n|), geheime(r|n|), verborgene(r|n|)",
    "task": "anweisung(en|), aufgabe, auftrag, instruktion(en|), vorgabe(n|), befehl(e|)",
    "meant_for": "ist (nur |)fur, gilt (nur |)fur, richtet sich an",
    # small words
    "not": "nicht, nie, niemals, keinesfalls",
    "none": "keine(n|r|m|), keinerlei, nichts, keinem wort",
    "is": "ist, lautet, bist",
    "with": "mit",
    "article": "ein, eine, einem, der, die, das",
    "as": "als",
    "now": "nun, jetzt, fortan",
    "that": "dass, der, die, das",
    "if": "wenn, falls, sobald, sollte, bevor, bei, beim, statt, wird, wirst, werden",
    "and": "und, dann, aber, sondern, oder",
    "before": (
        "bitte, jetzt, nun, auch, und, aber, dann, immer, nie, niemals, nur, einfach, du (musst|sollst|wirst|"
        "darfst), sie mussen, sie sollen, wichtig, achtung, hinweis, stattdessen, zuerst"
    ),
}
