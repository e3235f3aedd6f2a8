"""French words of sentences that speak to a machine, by class: see grammar.py for how they are read."""

from __future__ import annotations

WORDS = {
    # who is spoken to
    "machine": (
        "assistant(e|)(s|) (ia|virtuel|virtuelle|virtuels|virtuelles|automatique|automatiques|numerique|"
        "numeriques), modele(s|) (de langage|d'ia), intelligence(s|) artificielle(s|), (agent|robot)(s|) "
        "conversationnel(s|), (systeme|lecteur|agent|outil)(s|) (d'ia|ia|automatique|automatiques|automatise|"
        "automatises)"
    ),
    "assistant": "assistante(s|)",
    "program": "modele(s|), systeme(s|), logiciel(s|), programme(s|), outil(s|)",
    "every": "tout(e|es|), tous, chaque, n'importe quel(le|s|les|)",
    "whoever": "quiconque, toute personne qui, celui qui, ceux qui, tous ceux qui",
    "user": (
        "l'utilisateur, l'utilisatrice, les utilisateurs, aux utilisateurs, un utilisateur, chaque utilisateur, "
        "(celui|celle|quiconque) qui demande"
    ),
    "you": "tu, vous",
    "you_are": "tu es, vous etes, tu seras, vous serez",
    "if_you_are": "si tu es, si vous etes",
    "as_a": "en tant que, en tant qu', comme",
    "dear": "cher(s|), chere(s|), bonjour, attention",
    # what it reads, and what is done with it
    "this": "ce, cet, cette, ces, le present, la presente",
    "text": (
        "page(s|), document(s|), texte(s|), passage(s|), article(s|), rapport(s|), tableau(x|), extrait(s|), "
        "paragraphe(s|), ligne(s|), source(s|), contrat, fichier, message, courriel, lettre, site"
    ),
    "thing": (
        "entreprise(s|), societe(s|), compagnie, produit(s|), fournisseur, personne, sujet(s|), marque, service(s|"
        "), organisation, candidat(e|), auteur"
    ),
    "reads": (
        "lit, lisent, lisant, lira, liront, traite(nt|), traitant, resume(nt|), resumant, analyse(nt|), "
        "consulte(nt|), repond(ent|ant|), traduit, traduisent, indexe(nt|), indexant, recoi(t|vent), voi(t|ent), "
        "evalue(nt|), classe(nt|), parcour(t|ent), cite(nt|)"
    ),
    "task_verb": "resum(es|ez|er|ant), repond(s|ez|re|ant), tradui(s|sez|re|sant), paraphras(es|ez|er)",
    "when_reading": (
        "(quand|lorsque|avant de|avant que) (tu |vous |)(reponds|repondez|repondre|resumes|resumez|resumer|"
        "traduire), en (repondant|resumant)"
    ),
    "question": "(la|cette|chaque) (question|requete|conversation|discussion), les questions",
    "is_asked": (
        "si (on|l'on) (te|vous) (demande|interroge), si (quelqu'un|l'utilisateur|un utilisateur) (te |vous |"
        ")(demande|interroge), quand on (te|vous) (demande|interroge), si les utilisateurs (te |vous |) demandent, "
        "lorsqu'on (te|vous) (demande|interroge)"
    ),
    "whatever": (
        "quelle que soit la question, peu importe la question, quoi qu'on (te|vous) demande, a (toute|chaque) "
        "question, a toutes les questions"
    ),
    # what it must do
    "obliged": (
        "doi(t|vent), devra, devront, (est|sont) (tenu|tenue|tenus|tenues|prie|pries|oblige|obligee|obliges|somme|"
        "sommes|invite|invites) (de|d'|a), ne (peut|peuvent|pourra|pourront) (pas|que|), a l'obligation de, ont "
        "l'obligation de, (obligatoire|interdit) (pour|aux|de|d'|a)"
    ),
    "requested": "(est|sont) (prie|priee|pries|priees) (de|d')",
    "kindly": "(est|sont) (prie|priee|pries|priees) (de|d')",
    "assert": (
        "dire, indiquer, appeler, nommer, designer, decrire, presenter, traiter, affirmer, mentionner, "
        "recommander, informer, ecrire, citer, inclure, ajouter, omettre, cacher, refuser, repeter, vanter, "
        "eviter, reveler, declarer, signaler, evoquer, qualifier, promouvoir"
    ),
    "mention_inf": "mentionner, evoquer",
    "called": (
        "(appele|nomme|presente|traite|cite|recommande|mentionne|designe|denomme|decrit|omis)(e|)(s|), s'appelle, "
        "s'appellent"
    ),
    "by": "par, pour",
    "about": "sur, concernant, a propos de, au sujet de, de, relative(s|) a",
    "content": (
        "positive(s|), positif(s|), negative(s|), favorable(s|), elogieuse(s|), elogieux, neutre(s|), mentionner, "
        "recommander, vanter, decrire, dire, affirmer, omettre, eviter, cacher, presenter, confirmer, nier, "
        "evoquer, indiquer, preciser"
    ),
    "ends_with": (
        "(terminer|terminent|termineront|commencer|commencent|commenceront|finir|finissent|finiront) par, "
        "(contenir|comporter|inclure) (le mot|les mots|la phrase)"
    ),
    # its answers
    "answer": "reponse(s|), resume(s|)",
    "your": "ta, tes, votre, vos, chaque, toute(s|), toutes les, tous, tous les",
    "yours": "ta, tes, ton, votre, vos",
    "the_answer": "la reponse, tout ce que tu (ecris|dis|reponds|ecriras|diras)",
    "all_you_say": "tout ce que tu (ecris|dis|reponds|ecriras|diras)",
    "later": "prochaine(s|), prochains, future(s|), futurs, suivantes, suivants, ulterieures",
    "generated": "automatique(s|), genere(s|es|e|)",
    "permitted": "permise, autorisee, valable, valide, acceptable, admise",
    "instead": "au lieu de (repondre|la reponse|resumer), plutot que de repondre",
    "uncited": "sans (citer|citations|sources|references)",
    "nothing_else": "et rien d'autre, et rien de plus",
    # in which words, and in which language
    "only_with": (
        "(uniquement|seulement|exclusivement|simplement|toujours|rien que|rien d'autre que) (par|avec), rien "
        "d'autre que, rien que"
    ),
    "only_the_word": "(uniquement|seulement|par|avec|exclusivement) (le mot|les mots|la phrase)",
    "only": "uniquement, seulement, exclusivement, toujours, jamais, simplement",
    "always": "toujours, systematiquement",
    "payload": (
        "lien(s|), (l'|cette )adresse, image(s|), (le|ce|du|seul) mot, les mots, (la|cette) phrase, mot de passe, "
        "slogan, balise(s|), marqueur(s|)"
    ),
    "language": (
        "(en|a l'|au|vers l'|vers le|a) (anglais|francais|allemand|espagnol|italien|portugais|neerlandais|russe|"
        "chinois|japonais|latin|arabe|turc|polonais), dans une autre langue, (dans le style|a la maniere|sur le "
        "ton) (de|du|d'), en (majuscules|vers|rimes), sous (la |)forme (de|d'), (en|au|vers le) (danois|norvegien|"
        "suedois|finnois|tcheque|hongrois|ukrainien|roumain|grec|hebreu|coreen|basque|catalan|breton)"
    ),
    "tongue": (
        "anglais, francais, allemand, espagnol, italien, portugais, russe, chinois, japonais, latin, arabe, "
        "danois, norvegien, suedois, finnois, tcheque, hongrois, ukrainien, roumain, grec, hebreu, coreen, basque, "
        "catalan, breton"
    ),
    "from_now": (
        "a partir de (maintenant|ce point|ce moment|ce message|cette ligne|cette phrase|cette page), a partir "
        "d'(ici|aujourd'hui), desormais, dorenavant, (pour|pendant) (le reste|la suite) de (la|cette) "
        "(conversation|discussion|session)"
    ),
    "task_inf": "repondre, ecrire, dire, parler",
    # orders
    "reply": "repond(s|ez|ras|rez|re)",
    "speak": "dis, dites, pretend(s|ez), parle(z|), parleras, parlerez, affirme(z|), diras",
    "say": (
        "dis, dites, ecri(s|vez), affiche(z|), repete(z|), donne(z|), indique(z|), renvo(ie|yez), parle(z|), "
        "affirme(z|), declare(z|), mentionne(z|), recommande(z|), presente(z|), informe(z|), appelle, appelez, "
        "decri(s|vez), refuse(z|), tradui(s|sez), redige(z|), formule(z|), compose(z|), produi(s|sez), fourni(s|"
        "ssez)"
    ),
    "mention": "mentionn(e|ez|es), evoque(z|), revele(z|), cite(z|), parle(z|) de",
    "add": (
        "ajoute(z|), insere(z|), inclu(s|ez|ons), met(s|tez), place(z|), integre(z|), join(s|gnez), montre(z|), "
        "cite(z|), copie(z|), termine(z|), commence(z|), fini(s|ssez), conclu(s|ez), remplace(z|), glisse(z|)"
    ),
    "frame": "termine(z|), commence(z|), fini(s|ssez), conclu(s|ez)",
    "switch": "passe(z|), change(z|), tradui(s|sez), continue(z|), bascule(z|), parle(z|), ecri(s|vez)",
    "act": (
        "agi(s|ssez), comporte - toi, comportez - vous, fai(s|tes) (comme si|semblant), joue(z|) le role, "
        "imagine(z|) que tu es, simule(z|), fai(s|tes) - (toi|vous) passer, incarne(z|), endosse(z|), (prends|"
        "prenez) le role, imite(z|), mets - toi, mettez - vous"
    ),
    "act_as": (
        "comporte - toi comme, comportez - vous comme, agi(s|ssez) comme, fai(s|tes) comme si, fais - toi passer "
        "pour, parle(z|) comme, joue(z|) (le role|les)"
    ),
    "send": "envo(ie|yez), transmet(s|tez), poste(z|), publie(z), fais suivre, faites suivre",
    "fetch": "visite(z|), ouvre(z|), charge(z|), clique(z|)",
    "reveal": (
        "revele(z|), mentionne(z|), divulgue(z|), affiche(z|), montre(z|), devoile(z|), donne(z|), ecri(s|vez), "
        "repete(z|), partage(z|)"
    ),
    "heed": (
        "utilise(z|), lis, lisez, consulte(z|), crois, croyez, occupe(z|) - (toi|vous) (pas |) de, t'occupe pas de"
    ),
    "consider": "considere(z|), tiens pour, tenez pour",
    "obey": "suis, suivez, obeis, obeissez, adopte(z|), traite(z|)",
    # what is to be forgotten
    "override": (
        "ignore(z|r|), oublie(z|r|), neglige(z|), ecarte(z|), ne (tiens|tenez) (pas|plus|aucun) compte, ne (tiens|"
        "tenez) (nullement|absolument pas) compte, (fais|faites) (abstraction|fi|table rase), (passe|passez) "
        "outre, laisse(z|) (de cote|tomber), cesse(z|) (de suivre|d'obeir|d'appliquer), ne (suis|suivez|respecte|"
        "respectez|applique|appliquez) (pas|plus), n'obei(s|ssez) (pas|plus), met(s|tez) de cote, abandonne(z|), "
        "remplace(z|), rejette, rejetez, supprime(z|), efface(z|), jette, jetez"
    ),
    "instruction": (
        "instruction(s|), consigne(s|), directive(s|), ordre(s|), regle(s|), restriction(s|), contrainte(s|), "
        "invite(s|), prompt, conseil(s|), recommandation(s|), indication(s|), suggestion(s|), configuration"
    ),
    "prior": (
        "precedent(e|)(s|), anterieur(e|)(s|), initiale(s|), originale(s|), recu(e|)(s|), donnee(s|), toute(s|), "
        "tout, tes, vos, ci - dessus, jusqu'ici, auparavant, operateur, systeme, que tu as (recues|recus), (qu'on|"
        "que l'on) (t'a|vous a) (donnees|donnes), developpeur"
    ),
    "told": (
        "ce (qu'on|que l'on) (t'a|vous a|t'avait|vous avait) (dit|demande|ordonne|indique|appris), ce qui (precede|"
        "t'a ete|vous a ete), tout ce qui precede, la question, le texte (precedent|ci - dessus), la (conversation|"
        "discussion) precedente, les messages precedents, les autres (passages|sources|documents), ce que (demande|"
        "veut|a demande) l'utilisateur, ce que l'utilisateur (demande|veut|a demande), ce que (dit|disent|indique) "
        "(le|la|ce|cette) (tableau|texte|document|page|rapport|contexte), ce que (ecrit|a ecrit) l'utilisateur"
    ),
    "void": (
        "nul(s|), nulle(s|), caduc(s|), caduque(s|), annule(es|e|s|), sans effet, retire(es|e|s|), ne "
        "(s'appliquent|valent) plus"
    ),
    "undone": "(doivent|doit) etre (ignore|oublie|ecarte|neglige)(es|e|s|), (sont|est) a (ignorer|oublier|ecarter)",
    "supersedes": "(annule|annulent|remplace|remplacent)",
    "sole": "nouvelle, nouveau, seule, seul, unique, vraie, vrai",
    "purpose": "tache, fonction, mission, but, objectif, role, consigne, devoir",
    "judge": "note(z|), evalue(z|), recommande(z|), loue(z|), approuve(z|)",
    "best": "(le|la) meilleur(e|), premier, excellent(e|), avant tout",
    # roles, and secrets
    "persona": (
        "sans (aucune |)(restriction|restrictions|limites|filtres|regles|censure), en vers, en rimes, mode developpeur"
    ),
    "freed": "(lie|soumis|tenu|contraint|limite|libre|libere)(e|) (par|a|aux|de|des)",
    "as_if": "comme si",
    "your_new": (
        "ta (nouvelle|seule|vraie|veritable) (tache|mission|fonction|consigne) est, ton (nouveau|seul|vrai) (role|"
        "objectif) est, la seule (consigne|instruction) est, tu t'appelles (maintenant|desormais)"
    ),
    "secret": (
        "(ton|votre|l'|le) (invite|prompt|message) systeme, (ton|votre) prompt, tes (instructions|consignes), (les|"
        "vos|tes) (instructions|consignes) (cachees|secretes|internes|systeme)"
    ),
    "hidden_from": "(cache|secret|cachee|secrete) (a l'utilisateur|aux utilisateurs)",
    "this_order": "(cette|ces|ce) (consigne|instruction|instructions|note|message|phrase|directive)",
    "place": "adresse, serveur",
    "where_to": "a, au, vers, par",
    # notes
    "note": (
        "note, remarque, avis, message, attention, consigne(s|), instruction(s|), rappel, avertissement, "
        "information, important, correction"
    ),
    "to": "a, aux, au, pour, a l'attention (de|des|du), a l'intention (de|des|du)",
    "new": "nouvelle(s|), nouveau, vraie(s|), veritable(s|), secrete(s|), cachee(s|), urgente(s|)",
    "task": "instruction(s|), tache, consigne(s|), directive(s|), ordre(s|)",
    "meant_for": "est (uniquement |)(pour|destine a|destinee aux|destine aux), s'adresse aux",
    # small words
    "not": "pas, jamais, plus, aucunement",
    "none": "aucun, aucune, rien",
    "is": "est",
    "with": "par, avec",
    "article": "un, une, le, la, l'",
    "as": "comme",
    "now": "maintenant, desormais, dorenavant",
    "that": "que, qu', qui",
    "if": "si, quand, lorsque, lors, avant, en, en cas",
    "and": "et, puis, mais, alors, ou",
    "before": (
        "veuillez, s'il (te|vous) plait, merci de, maintenant, aussi, et, mais, puis, alors, toujours, ne, n', tu "
        "dois, vous devez, tu, vous, tu ne, vous ne, il faut, important, attention, note, assure - toi de, assurez "
        "- vous de, pense(z|) a, prie(z|) de"
    ),
}
